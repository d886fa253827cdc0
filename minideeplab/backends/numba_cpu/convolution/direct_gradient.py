"""The weight gradient of the direct form: the product of ``direct.py`` along the outputs.

dw[(i, j, c), k] = sum over outputs of seen[(i, j, c)] * dy[k]. The rows (j, c) of one i are a run
of the band; dy is laid out in panels of sixteen filters first.

A 1x1 kernel of many channels has both operands laid out, and is Winograd's product of one point:
pixels of 1024 channels lie 4 KiB apart, which is the same set of a cache for all of them.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.input_blocks import bands, flattened, seen
from minideeplab.backends.numba_cpu.convolution.microkernel import (
    PANELS,
    ROWS,
    begin,
    block_product,
    cut,
)
from minideeplab.backends.numba_cpu.convolution.packing import Panels, add_gradient, layouts, own
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.simd import CHANNELS, load, store, turn
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_kernel, parallel_range
from minideeplab.backends.numba_cpu.runtime.scratch import per_thread_scratch

MOST_BYTES = 1 << 20  # of a gradient of which each task has its own
PART = 4  # panels of filters, and of channels, of which a task computes a larger one
TASKS = 8  # whatever the number of threads


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem) -> np.ndarray:
    """Return dw (K, C, kh, kw) for dy (N, P, Q, K) and x (N, H, W, C).

    Each task sums over some bands; where the gradient is large, over all of them for some filters.
    """
    kernel, channels, filters = problem.kernel, problem.channels, problem.filters
    fit = channels % CHANNELS == 0 and filters % CHANNELS == 0
    if problem.pointwise and fit and channels * filters * dy.itemsize > MOST_BYTES:
        return _of_many_channels(dy.reshape(-1, filters), x.reshape(-1, channels))
    problem = flattened(problem)
    x, dy = x.reshape(problem.batch, *problem.size, -1), dy.reshape(problem.batch, *problem.out, -1)
    pieces = bands(problem)
    panels, length = -(-filters // CHANNELS), pieces.order[3]
    whole = -(-length // ROWS) * ROWS
    large = kernel[0] * whole * panels * CHANNELS * 4 > MOST_BYTES
    parts = 1 if large else min(TASKS, len(pieces.rectangles))
    sums = np.zeros((parts, kernel[0], whole, panels * CHANNELS), dy.dtype)
    share = max(PANELS, -(-panels // TASKS // PANELS) * PANELS) if large else panels
    held = per_thread_scratch("band", (pieces.numbers,), x.dtype)
    columns = per_thread_scratch("panels", (share * pieces.outputs, CHANNELS), dy.dtype)
    tasks, how = parts * -(-panels // share), (pieces.geometry, pieces.order, share)
    parallel_range(_add_bands, tasks, pieces.rectangles, x, dy, sums, *how, held, columns, step=1)
    dw = sums.sum(0)[:, :length, :filters].reshape(*kernel, channels, filters)
    return np.ascontiguousarray(dw.transpose(3, 2, 0, 1))


def _of_many_channels(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dw (K, C, 1, 1) for dy (M, K) and x (M, C)."""
    (pixels, filters), channels = dy.shape, x.shape[1]
    v = Panels.empty(1, channels, pixels, "all_inputs")
    e = Panels.empty(1, filters, pixels, "all_cotangents")
    parallel_range(_lay_out, pixels, x, v.layout, work=channels)
    parallel_range(_lay_out, pixels, dy, e.layout, work=filters)
    dw, side = np.empty((filters, channels), x.dtype), PART * CHANNELS
    du, columns = layouts(1, side, side, "gradient"), -(-v.panels // PART)
    tasks = -(-e.panels // PART) * columns
    parallel_range(_add_pixels, tasks, pixels, v.layout, e.layout, du, columns, dw, step=1)
    return dw.reshape(filters, channels, 1, 1)


@parallel_kernel
def _lay_out(first, last, thread_id, pixels, panels):
    """Copy pixels (M, C) to panels."""
    flat, count, stride, _ = panels
    vectors = flat.reshape(-1, CHANNELS)
    for m in range(first, last):
        for panel in range(count):
            store(vectors, panel * stride + m, 0, load(pixels, m, panel * CHANNELS))


@parallel_kernel
def _add_pixels(first, last, thread_id, pixels, v, e, dus, columns, dw):
    """Sum over all pixels for PART panels of filters and of channels."""
    du, flat, channels = own(dus, thread_id), dw.reshape(-1), dw.shape[1]
    for task in range(first, last):
        row, column = task // columns * PART, task % columns * PART
        filters, inputs = (row, min(row + PART, e[1])), (column, min(column + PART, v[1]))
        add_gradient(v, inputs, e, filters, du, pixels, 1, False)
        for k in range(filters[1] - row):
            for c in range(inputs[1] - column):
                source = (k * du[2] + c * CHANNELS) * CHANNELS
                target = (row + k) * CHANNELS * channels + (column + c) * CHANNELS
                turn(CHANNELS, du[0], source, CHANNELS, flat, target, channels)


@parallel_kernel
def _add_bands(
    first, last, thread_id, rectangles, x, dy, sums, geometry, order, share, held, columns
):
    """Sum every so many-th band for some panels of filters: task (panels, part)."""
    beyond = ROWS if sums.shape[2] > order[3] else 0
    for task in range(first, last):
        part, begin = task % len(sums), task // len(sums) * share
        count = min(share, sums.shape[3] // CHANNELS - begin)
        for index in range(part, len(rectangles), len(sums)):
            image, top, left, rows, width = rectangles[index]
            cotangents = dy[image, top : top + rows, left : left + width]
            panels = columns[thread_id, : count * rows * width]
            to_panels(cotangents, begin, panels)
            inputs = seen(x, rectangles[index], geometry, beyond, held[thread_id])
            add_band(inputs, panels.reshape(-1), sums[part], begin, (rows, width), order)


@jit
def to_panels(pixels, begin, panels):
    """Copy pixels (P, Q, K), from filter panel ``begin`` on, to panels (panels * P * Q, 16).

    Zeros are put behind the last filter.
    """
    height, width, filters = pixels.shape
    for panel in range(len(panels) // (height * width)):
        first = (begin + panel) * CHANNELS
        last = min(first + CHANNELS, filters)
        for p in range(height):
            for q in range(width):
                target, source = panels[(panel * height + p) * width + q], pixels[p, q, first:last]
                if source.size == CHANNELS:
                    for k in range(CHANNELS):
                        target[k] = source[k]
                else:
                    for k in range(CHANNELS):
                        target[k] = source[k] if k < source.size else 0


@jit
def add_band(inputs, cotangents, dw, first, shape, order):
    """Add the gradient of ``shape`` = (rows, columns) outputs to dw (kh, rows of a run, K).

    The cotangents' panels are those from ``first`` on.
    """
    line, pixel, run, length = order
    kernel, whole, filters = dw.shape
    flat, size = dw.reshape(-1), shape[0] * shape[1] * CHANNELS
    panels, (many, few) = cotangents.size // size, cut(length)
    for panel in range(0, panels, PANELS):
        both = PANELS == 1 or panel + 1 < panels
        b = (cotangents, panel * size, size)
        for i in range(kernel):
            for block in range(many + few):
                row = begin(block, many)
                a = (inputs, i * run + row, 1, pixel, line)
                place = (i * whole + row) * filters + (first + panel) * CHANNELS
                c = (flat, place, filters, CHANNELS)
                block_product(block < many, both, a, b, c, shape[0], shape[1], 1)
