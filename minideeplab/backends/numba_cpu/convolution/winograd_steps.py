"""The steps of Winograd's form as rounds of pieces that the threads share (``parallel_kernel.py``).

``blocks`` (count, 2) holds the first tile of each block and the first one behind it. ``v``, ``u``,
``p``, ``e`` and ``du`` are ``Panels.layout`` of inputs, filters, products, cotangents and
gradients, with an s ``layouts``, one for each thread; ``inside`` and ``outside`` are the grid's,
``rooms`` is ``grid.rooms()``. Filters and their gradients are taken in parts of ``size`` = (panels
of the filters, panels of the channels).
"""

from __future__ import annotations

from minideeplab.backends.numba_cpu.convolution.packing import (
    add_gradient,
    multiply,
    multiply_part,
    own,
)
from minideeplab.backends.numba_cpu.convolution.tiles import (
    cotangent_tiles,
    input_tiles,
    output_tiles,
)
from minideeplab.backends.numba_cpu.convolution.transformed_filters import to_points, to_taps
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_kernel


@parallel_kernel
def blocks_through(
    first, last, thread_id, blocks, n, x, inside, vs, u, ps, y, outside, finish, rooms, checks
):
    """Take each block of tiles through all steps, with panels that hold one block."""
    v, p = own(vs, thread_id), own(ps, thread_id)
    for index in range(first, last):
        start, stop = blocks[index]
        span = start, stop, start
        input_tiles(x, v, rooms[thread_id], n, span, inside)
        multiply(v, u, p, stop - start, 0, n * n)
        checks[index] = output_tiles(p, y, rooms[thread_id], finish, n, span, outside, (0, u[1]))


@parallel_kernel
def enter(first, last, thread_id, blocks, n, x, inside, v, rooms):
    """Transform the inputs of all blocks."""
    for index in range(first, last):
        start, stop = blocks[index]
        input_tiles(x, v, rooms[thread_id], n, (start, stop, blocks[0, 0]), inside)


@parallel_kernel
def filters_through(
    first, last, thread_id, span, n, v, w, us, size, ps, panels, y, outside, finish, rooms, checks
):
    """Take parts of the filters through all steps, for tiles whose inputs are transformed.

    w are ``stored`` filters of (filters, channels) = ``panels``; ``span`` is that of the tiles.
    """
    u, p = own(us, thread_id), own(ps, thread_id)
    for part in range(first, last):
        filters = part * size[0], min((part + 1) * size[0], panels[0])
        for start in range(0, panels[1], size[1]):
            channels = start, min(start + size[1], panels[1])
            to_points(w, u, n, (filters, channels), (filters[0], start))
            count = filters[1] - filters[0]
            multiply_part(v, u, count, p, span[1] - span[0], n * n, channels, start > 0)
        checks[part] = output_tiles(p, y, rooms[thread_id], finish, n, span, outside, filters)


@parallel_kernel
def multiply_points(first, last, thread_id, v, u, p, tiles):
    """Multiply the matrices of all points."""
    multiply(v, u, p, tiles, first, last)


@parallel_kernel
def enter_both(first, last, thread_id, blocks, n, x, inside, v, dy, outside, e, rooms):
    """Transform the inputs and the cotangents of all blocks."""
    for index in range(first, last):
        start, stop = blocks[index]
        span = start, stop, blocks[0, 0]
        input_tiles(x, v, rooms[thread_id], n, span, inside)
        cotangent_tiles(dy, e, rooms[thread_id], n, span, outside)


@parallel_kernel
def gradients_through(first, last, thread_id, tiles, n, v, e, dus, size, dw, add, checks):
    """Compute the gradients of parts of the filters (row) and channels (column), or add them."""
    du = own(dus, thread_id)
    for index in range(first, last):
        row, column = divmod(index, checks.shape[1])
        filters = row * size[0], min((row + 1) * size[0], e[1])
        channels = column * size[1], min((column + 1) * size[1], v[1])
        add_gradient(v, channels, e, filters, du, tiles, n * n, False)
        origin = filters[0], channels[0]
        checks[row, column] = to_taps(du, dw, n, (filters, channels), origin, add)


@parallel_kernel
def sum_segments(
    first, last, thread_id, blocks, n, x, inside, vs, dy, outside, es, parts, du, rooms
):
    """Sum each segment's gradient in one of the ``parts``, over every so many-th block."""
    v, e = own(vs, thread_id), own(es, thread_id)
    for segment in range(first, last):
        part = parts[segment].reshape(-1), du[1], du[2], du[3]
        for index in range(segment, len(blocks), len(parts)):
            start, stop = blocks[index]
            span = start, stop, start
            input_tiles(x, v, rooms[thread_id], n, span, inside)
            cotangent_tiles(dy, e, rooms[thread_id], n, span, outside)
            channels, filters = (0, v[1]), (0, e[1])
            add_gradient(v, channels, e, filters, part, stop - start, n * n, index > segment)


@parallel_kernel
def join_segments(first, last, thread_id, parts, du):
    """Write the sum of the parts to du, both as vectors."""
    for row in range(first, last):
        for lane in range(du.shape[1]):
            total = parts[0, row, lane]
            for segment in range(1, len(parts)):
                total += parts[segment, row, lane]
            du[row, lane] = total
