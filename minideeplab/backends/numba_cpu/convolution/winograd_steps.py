"""The Winograd steps: the parallel kernels of ``winograd.py``.

``blocks`` (count, 2) holds the first tile of each block and the first one after it. ``v``, ``u``,
``p``, ``e`` and ``du`` are packed inputs, filters, products, cotangents and gradients; ``x``, ``y``
and ``dy`` are tiled images. ``each`` is scratch of the threads: packed memory and ``work`` for two
tiles. Filters and their gradients are computed in parts of ``size`` = (panels of the filters,
panels of the channels). ``checks`` are NaN where a result is not finite.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minideeplab.backends.numba_cpu.convolution.packing import (
    Packed,
    add_gradient,
    multiply,
    multiply_part,
    of_thread,
)
from minideeplab.backends.numba_cpu.convolution.tiles import (
    UNCHECKED,
    cotangent_tiles,
    input_tiles,
    output_tiles,
)
from minideeplab.backends.numba_cpu.convolution.transformed_filters import to_points, to_taps
from minideeplab.backends.numba_cpu.convolution.transforms import N
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_kernel
from minideeplab.backends.numba_cpu.simd import CHANNELS


class Scratch(NamedTuple):
    """Work arrays, one for each thread: two packed operands and two tiles."""

    a: Packed  # inputs or filters
    b: Packed  # products or cotangents
    work: np.ndarray


@parallel_kernel
def convolve_blocks(first, last, thread_id, blocks, x, u, y, epilogue, each, check, checks):
    """Compute the outputs of each block of tiles: inputs to points, matmul, points to outputs."""
    v, p, work = of_thread(each.a, thread_id), of_thread(each.b, thread_id), each.work[thread_id]
    for index in range(first, last):
        start, stop = blocks[index]
        span = start, stop, start
        input_tiles(x, v, work, span, check)
        multiply(v, u, p, stop - start, 0, N * N)
        checks[index] = output_tiles(p, y, work, epilogue, span, (0, u.panels))


@parallel_kernel
def transform_inputs(first, last, thread_id, blocks, x, v, work, check):
    """Transform the inputs of all blocks."""
    for index in range(first, last):
        start, stop = blocks[index]
        input_tiles(x, v, work[thread_id], (start, stop, blocks[0, 0]), check)


@parallel_kernel
def convolve_filters(first, last, thread_id, tiles, v, w, size, y, epilogue, each, checks):
    """Compute the outputs of some filters a part: filters to points, matmul, points to outputs.

    The inputs of ``tiles`` = (first, last) are transformed already; w are ``stored`` filters.
    """
    u, p, work = of_thread(each.a, thread_id), of_thread(each.b, thread_id), each.work[thread_id]
    count = y.pixels.shape[1] // CHANNELS
    for part in range(first, last):
        filters = part * size[0], min((part + 1) * size[0], count)
        for start in range(0, v.panels, size[1]):
            some = start, min(start + size[1], v.panels)
            to_points(w, u, (filters, some), (filters[0], start))
            panels = filters[1] - filters[0]
            multiply_part(v, u, panels, p, tiles[1] - tiles[0], N * N, some, start > 0)
        span = tiles[0], tiles[1], tiles[0]
        checks[part] = output_tiles(p, y, work, epilogue, span, filters)


@parallel_kernel
def multiply_points(first, last, thread_id, v, u, p, tiles):
    """Multiply the matrices of all points."""
    multiply(v, u, p, tiles, first, last)


@parallel_kernel
def transform_both(first, last, thread_id, blocks, x, v, dy, e, work):
    """Transform the inputs and the cotangents of all blocks."""
    for index in range(first, last):
        start, stop = blocks[index]
        span = start, stop, blocks[0, 0]
        input_tiles(x, v, work[thread_id], span, UNCHECKED)
        cotangent_tiles(dy, e, work[thread_id], span)


@parallel_kernel
def filter_gradients(first, last, thread_id, tiles, v, e, each, size, dw, add, checks):
    """Write, or add, the gradients of parts of the filters (row) and channels (column)."""
    du = of_thread(each, thread_id)
    for index in range(first, last):
        row, column = divmod(index, checks.shape[1])
        filters = row * size[0], min((row + 1) * size[0], e.panels)
        channels = column * size[1], min((column + 1) * size[1], v.panels)
        add_gradient(v, channels, e, filters, du, tiles, N * N, False)
        origin = filters[0], channels[0]
        checks[row, column] = to_taps(du, dw, (filters, channels), origin, add)


@parallel_kernel
def sum_segments(first, last, thread_id, blocks, x, dy, each, parts):
    """Sum each segment's gradient in one of the ``parts``, over every ``segments``-th block."""
    v, e, work = of_thread(each.a, thread_id), of_thread(each.b, thread_id), each.work[thread_id]
    for segment in range(first, last):
        part, segments = of_thread(parts, segment), len(parts.data)
        for index in range(segment, len(blocks), segments):
            start, stop = blocks[index]
            span = start, stop, start
            input_tiles(x, v, work, span, UNCHECKED)
            cotangent_tiles(dy, e, work, span)
            channels, filters, more = (0, v.panels), (0, e.panels), index > segment
            add_gradient(v, channels, e, filters, part, stop - start, N * N, more)


@parallel_kernel
def add_segments(first, last, thread_id, parts, du):
    """Write the sum of the parts (segments, size) to du (size,)."""
    du = du[first:last]
    for k in range(du.size):
        total = parts[0, first + k]
        for segment in range(1, len(parts)):
            total += parts[segment, first + k]
        du[k] = total
