"""The form of ``shifted_gemm.py`` with its sums in registers: float32, no groups, full blocks.

Under a tap, the pixels that a row of outputs sees are one step apart. The matmul of
``microkernel.py`` reads them in place and adds to the sums of other taps. A row consists of blocks
of two sizes. If these cannot make it up, its last block overlaps the one before, and only the new
sums of it are added.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minideeplab.backends.numba_cpu.convolution.direct_gradient import add_block, pack_cotangents
from minideeplab.backends.numba_cpu.convolution.epilogue import Epilogue, apply_to_rows
from minideeplab.backends.numba_cpu.convolution.im2col import by_filter
from minideeplab.backends.numba_cpu.convolution.input_blocks import Strides
from minideeplab.backends.numba_cpu.convolution.microkernel import (
    OTHER,
    PANELS,
    ROWS,
    cut,
    matmul,
)
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.shifted_gemm import taps
from minideeplab.backends.numba_cpu.runtime.jit import inlined, inner
from minideeplab.backends.numba_cpu.runtime.parallel import (
    parallel_for,
    parallel_kernel,
    parallel_range,
    spans,
)
from minideeplab.backends.numba_cpu.runtime.scratch import aligned, per_thread_scratch, scratch
from minideeplab.backends.numba_cpu.simd import CHANNELS

OUTPUTS = 256  # that one task computes, about
SHARE = 8  # panels of filters that one task computes, in full blocks
DEPTH = 256  # channels at a time, so that the filters of a block stay in the first cache


class Tasks(NamedTuple):
    """Which outputs a task computes, and what each tap reaches of them."""

    rows: np.ndarray  # (count, 4): first row, last row, first reach, last reach
    reaches: np.ndarray  # (count, 6): tap, top, left, rows, columns, first number of an image
    shares: int  # parts of the filters
    width: int  # of a row of outputs
    strides: tuple[int, int]  # from input line to line and from pixel to pixel, in numbers
    channels: int  # of the input


class Lines(NamedTuple):
    """Pixels of an image in a flat array."""

    data: np.ndarray
    first: int
    line: int  # from line to line
    pixel: int  # from pixel to pixel


def suits(problem: Problem, dtype: np.dtype) -> bool:
    """Return whether the form exists here."""
    whole = problem.filters % (CHANNELS * PANELS) == 0 and problem.channels % ROWS == 0
    return whole and problem.groups == 1 and dtype == np.float32


def convolve(x: np.ndarray, packed: np.ndarray, epilogue: Epilogue, problem: Problem) -> np.ndarray:
    """Convolve pixels x (N, H, W, C) with filters packed by ``direct.pack``: (N, P, Q, K)."""
    y, tasks = aligned((problem.batch, *problem.out, problem.filters), x.dtype), _tasks(problem)
    x, packed, flat = (a.reshape(len(a), math.prod(a.shape[1:])) for a in (x, packed, y))
    block = per_thread_scratch("block", (ROWS * PANELS * CHANNELS,), x.dtype)
    vectors = epilogue.vectors(problem.filters, x.dtype)
    count = len(x) * len(tasks.rows) * tasks.shares
    parallel_range(_convolve_rows, count, tasks, x, packed, flat, vectors, block, step=1)
    return y


@lru_cache(maxsize=256)
def _tasks(problem: Problem) -> Tasks:
    rows, reaches = [], []
    step = max(1, OUTPUTS // max(1, problem.out[1]))
    for first, last in spans(problem.out[0], step):
        start = len(reaches)
        for i, j, (out, across), (top, left) in taps(problem, first, last):
            seen = (top.start * problem.size[1] + left.start) * problem.channels
            shape = out.stop - out.start, across.stop - across.start
            tap = i * problem.kernel[1] + j
            reaches.append((tap, out.start, across.start, *shape, seen))
        rows.append((first, last, start, len(reaches)))
    tables = (np.array(a, np.int64).reshape(len(a), -1) for a in (rows, reaches))
    line, pixel = problem.size[1] * problem.channels, problem.channels
    strides = problem.stride[0] * line, problem.stride[1] * pixel
    shares = -(-problem.filters // (SHARE * CHANNELS))
    return Tasks(*tables, shares, problem.out[1], strides, problem.channels)


@parallel_kernel
def _convolve_rows(first, last, thread_id, tasks, x, weights, y, epilogue, block):
    """Compute some rows of outputs for a share of the filters."""
    filters, flat = len(weights) * CHANNELS, weights.reshape(-1)
    width, channels = tasks.width, tasks.channels
    for task in range(first, last):
        place, share = divmod(task, tasks.shares)
        image, index = divmod(place, len(tasks.rows))
        top, bottom, start, stop = tasks.rows[index]
        panels = share * SHARE, min((share + 1) * SHARE, len(weights))
        pixels = y[image].reshape(-1, filters)[top * width : bottom * width]
        pixels[:, panels[0] * CHANNELS : panels[1] * CHANNELS] = 0
        for reach in tasks.reaches[start:stop]:
            to = (reach[1] * width + reach[2]) * filters
            target = Lines(y[image], to, width * filters, filters)
            source = Lines(x[image], reach[5], tasks.strides[0], tasks.strides[1])
            tap = flat, reach[0] * channels * CHANNELS, weights.shape[1]
            _add_tap(source, tap, target, (reach[3], reach[4]), channels, panels, block[thread_id])
        for m in range(len(pixels)):
            for panel in range(*panels):
                apply_to_rows(pixels, m, 1, 1, panel * CHANNELS, epilogue)


@inner
def _add_tap(x, filters, y, shape, channels, panels, block):
    """Add the products of a tap to ``shape`` = (rows, columns) outputs of panels of filters.

    ``filters`` is (flat weights, first, from panel to panel).
    """
    rows, columns = shape
    blocks, others = cut(columns)
    overlap = blocks * ROWS + others * OTHER > columns
    for panel in range(panels[0], panels[1], PANELS):
        for deep in range(0, channels, DEPTH):
            steps = min(DEPTH, channels - deep)
            first = filters[1] + panel * filters[2] + deep * CHANNELS
            b = filters[0], first, filters[2]
            for row in range(rows):
                source = Lines(x.data, x.first + row * x.line + deep, x.line, x.pixel)
                to = y.first + row * y.line + panel * CHANNELS
                target = Lines(y.data, to, y.line, y.pixel)
                for k in range(blocks - overlap):
                    a, c = _operands(source, target, k * ROWS)
                    matmul(ROWS, True, a, b, c, 1, steps, 1)
                for k in range(others):
                    a, c = _operands(source, target, blocks * ROWS + k * OTHER)
                    matmul(OTHER, True, a, b, c, 1, steps, 1)
                if overlap:
                    _add_rest(source, b, target, (blocks - 1) * ROWS, columns, steps, block)


@inlined
def _operands(x, y, q):
    """Return the operands of ``matmul`` for outputs from column ``q`` on."""
    a = x.data, x.first + q * x.pixel, x.pixel, 1, 0
    return a, (y.data, y.first + q * y.pixel, y.pixel, CHANNELS)


@inner
def _add_rest(x, b, y, done, columns, steps, block):
    """Add to the outputs after those that are done, which are fewer than a block."""
    if done == 0:
        for q in range(columns):
            a, c = _operands(x, y, q)
            matmul(1, True, a, b, c, 1, steps, 1)
        return
    q = columns - ROWS
    a, _ = _operands(x, y, q)
    matmul(ROWS, True, a, b, (block, 0, PANELS * CHANNELS, CHANNELS), 1, steps, 0)
    for r in range(done - q, ROWS):
        for k in range(PANELS * CHANNELS):
            y.data[y.first + (q + r) * y.pixel + k] += block[r * PANELS * CHANNELS + k]


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem) -> np.ndarray:
    """Return dw (K, C, kh, kw) for dy (N, P, Q, K) and x (N, H, W, C); each task owns a tap."""
    channels, filters, width = problem.channels, problem.filters, problem.size[1]
    totals = np.zeros((1, channels, problem.taps, filters), dy.dtype)
    by_tap = totals.reshape(1, channels, -1)
    tasks = list(taps(problem, 0, problem.out[0]))
    line, pixel = problem.stride[0] * width * channels, problem.stride[1] * channels

    def run(index: int) -> None:
        i, j, (rows, columns), (top, left) = tasks[index]
        shape = rows.stop - rows.start, columns.stop - columns.start
        panels = scratch("panels", (filters // CHANNELS * shape[0] * shape[1], CHANNELS), dy.dtype)
        first = (i * problem.kernel[1] + j) * filters // CHANNELS
        for n in range(problem.batch):
            pack_cotangents(dy[n, rows, columns], 0, panels)
            inputs = x[n].reshape(-1)[(top.start * width + left.start) * channels :]
            strides = Strides(line, pixel, 0, channels)
            add_block(inputs, panels.reshape(-1), by_tap, first, shape, strides)

    parallel_for(run, len(tasks))
    return by_filter(totals, problem.kernel)
