"""The weight gradient of the direct form: its matmul, summed over the outputs.

dw[(i, j, c), k] = sum over outputs of inputs[(i, j, c)] * dy[k]. The rows (j, c) of one i are a run
of the input block; dy is packed in panels of sixteen filters first.

For a 1x1 kernel of many channels both operands are packed, as for Winograd's matmul of one point:
pixels of 1024 channels are 4 KiB apart, which is the same set of a cache for all of them.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.input_blocks import (
    flattened,
    input_blocks,
    read_block,
)
from minideeplab.backends.numba_cpu.convolution.microkernel import (
    PANELS,
    ROWS,
    block_start,
    cut,
    matmul_block,
)
from minideeplab.backends.numba_cpu.convolution.packing import add_gradient, of_thread, packed
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.transpose import transpose
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_kernel, parallel_range
from minideeplab.backends.numba_cpu.runtime.scratch import per_thread_scratch
from minideeplab.backends.numba_cpu.simd import CHANNELS, load_channels, store

MOST_BYTES = 1 << 20  # of a gradient of which each task has its own copy
PART = 4  # panels of filters, and of channels, that a task computes of a larger one
TASKS = 8  # whatever the number of threads


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem) -> np.ndarray:
    """Return dw (K, C, kh, kw) for dy (N, P, Q, K) and x (N, H, W, C).

    Each task sums over some input blocks; if the gradient is large, over all for some filters.
    """
    kernel, channels, filters = problem.kernel, problem.channels, problem.filters
    whole = channels % CHANNELS == 0 and filters % CHANNELS == 0
    if problem.pointwise and whole and channels * filters * dy.itemsize > MOST_BYTES:
        return _of_many_channels(dy.reshape(-1, filters), x.reshape(-1, channels))
    problem = flattened(problem)
    x, dy = x.reshape(problem.batch, *problem.size, -1), dy.reshape(problem.batch, *problem.out, -1)
    blocks = input_blocks(problem)
    panels, length = -(-filters // CHANNELS), blocks.strides.length
    padded = -(-length // ROWS) * ROWS
    large = kernel[0] * padded * panels * CHANNELS * 4 > MOST_BYTES
    parts = 1 if large else min(TASKS, len(blocks.rectangles))
    sums = np.zeros((parts, kernel[0], padded, panels * CHANNELS), dy.dtype)
    share = max(PANELS, -(-panels // TASKS // PANELS) * PANELS) if large else panels
    held = per_thread_scratch("block", (blocks.numbers,), x.dtype)
    columns = per_thread_scratch("panels", (share * blocks.outputs, CHANNELS), dy.dtype)
    tasks = parts * -(-panels // share)
    parallel_range(_add_blocks, tasks, blocks, x, dy, sums, share, held, columns, step=1)
    dw = sums.sum(0)[:, :length, :filters].reshape(*kernel, channels, filters)
    return np.ascontiguousarray(dw.transpose(3, 2, 0, 1))


def _of_many_channels(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dw (K, C, 1, 1) for dy (M, K) and x (M, C)."""
    (pixels, filters), channels = dy.shape, x.shape[1]
    v = packed(1, channels, pixels, "all_inputs")
    e = packed(1, filters, pixels, "all_cotangents")
    parallel_range(_pack, pixels, x, v, work=channels)
    parallel_range(_pack, pixels, dy, e, work=filters)
    dw, side = np.empty((filters, channels), x.dtype), PART * CHANNELS
    du, columns = packed(1, side, side, "gradient", per_thread=True), -(-v.panels // PART)
    tasks = -(-e.panels // PART) * columns
    parallel_range(_add_pixels, tasks, pixels, v, e, du, columns, dw, step=1)
    return dw.reshape(filters, channels, 1, 1)


@parallel_kernel
def _pack(first, last, thread_id, pixels, v):
    """Copy pixels (M, C) to packed v."""
    vectors = v.data.reshape(-1, CHANNELS)
    for m in range(first, last):
        for panel in range(v.panels):
            store(vectors, panel * v.stride + m, 0, load_channels(pixels, m, panel * CHANNELS))


@parallel_kernel
def _add_pixels(first, last, thread_id, pixels, v, e, each, columns, dw):
    """Sum over all pixels for PART panels of filters and of channels."""
    du, flat, channels = of_thread(each, thread_id), dw.reshape(-1), dw.shape[1]
    for task in range(first, last):
        row, column = task // columns * PART, task % columns * PART
        filters, inputs = (row, min(row + PART, e.panels)), (column, min(column + PART, v.panels))
        add_gradient(v, inputs, e, filters, du, pixels, 1, False)
        for k in range(filters[1] - row):
            for c in range(inputs[1] - column):
                source = (k * du.stride + c * CHANNELS) * CHANNELS
                target = (row + k) * CHANNELS * channels + (column + c) * CHANNELS
                transpose(CHANNELS, du.data, source, CHANNELS, flat, target, channels)


@parallel_kernel
def _add_blocks(first, last, thread_id, blocks, x, dy, sums, share, held, columns):
    """Sum every ``parts``-th block for some panels of filters: task (panels, part)."""
    rectangles, strides, parts = blocks.rectangles, blocks.strides, len(sums)
    beyond = ROWS if sums.shape[2] > strides.length else 0
    for task in range(first, last):
        part, start = task % parts, task // parts * share
        count = min(share, sums.shape[3] // CHANNELS - start)
        for index in range(part, len(rectangles), parts):
            image, top, left, rows, width = rectangles[index]
            cotangents = dy[image, top : top + rows, left : left + width]
            panels = columns[thread_id, : count * rows * width]
            pack_cotangents(cotangents, start, panels)
            inputs = read_block(x, rectangles[index], blocks.geometry, beyond, held[thread_id])
            add_block(inputs, panels.reshape(-1), sums[part], start, (rows, width), strides)


@jit
def pack_cotangents(pixels, start, panels):
    """Copy pixels (P, Q, K), from filter panel ``start`` on, to panels (panels * P * Q, 16).

    The last panel is padded with zeros.
    """
    height, width, filters = pixels.shape
    for panel in range(len(panels) // (height * width)):
        first = (start + panel) * CHANNELS
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
def add_block(inputs, cotangents, dw, first, shape, strides):
    """Add the gradient of ``shape`` = (rows, columns) outputs to dw (kh, rows of a run, K).

    The panels of the cotangents are those from ``first`` on.
    """
    kernel, padded, filters = dw.shape
    flat, size = dw.reshape(-1), shape[0] * shape[1] * CHANNELS
    panels, (blocks, others) = cotangents.size // size, cut(strides.length)
    for panel in range(0, panels, PANELS):
        both = PANELS == 1 or panel + 1 < panels
        b = (cotangents, panel * size, size)
        for i in range(kernel):
            for block in range(blocks + others):
                row = block_start(block, blocks)
                a = (inputs, i * strides.run + row, 1, strides.pixel, strides.line)
                place = (i * padded + row) * filters + (first + panel) * CHANNELS
                c = (flat, place, filters, CHANNELS)
                matmul_block(block < blocks, both, a, b, c, shape[0], shape[1], 1)
