"""The form of ``taps.py`` with its sums in registers: float32, no groups, filters that fill blocks.

Under a tap, the pixels that a row of outputs sees lie one step apart, so the product of
``registers.py`` reads them where they are and adds to what other taps gave. A row is made up of
blocks of two sizes; one that they cannot make up ends with a block that overlaps the one before,
and of that only what is new is added.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from minideeplab.backends.numba_cpu.convolution.direct import end_rows
from minideeplab.backends.numba_cpu.convolution.direct_gradient import add_band, to_panels
from minideeplab.backends.numba_cpu.convolution.epilogue import Finish
from minideeplab.backends.numba_cpu.convolution.filters import by_filter
from minideeplab.backends.numba_cpu.convolution.microkernel import (
    OTHER,
    PANELS,
    ROWS,
    cut,
    product,
)
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.shifted_gemm import taps
from minideeplab.backends.numba_cpu.convolution.simd import CHANNELS
from minideeplab.backends.numba_cpu.runtime.jit import inner
from minideeplab.backends.numba_cpu.runtime.parallel import (
    parallel_for,
    parallel_kernel,
    parallel_range,
    spans,
)
from minideeplab.backends.numba_cpu.runtime.scratch import aligned, per_thread_scratch, scratch

OUTPUTS = 256  # that one task computes, about
SHARE = 8  # panels of filters that one task computes, in whole blocks
DEPTH = 256  # channels at a time, so that the filters of a block stay in the first cache


def suits(problem: Problem, dtype: np.dtype) -> bool:
    """Return whether the form exists here."""
    whole = problem.filters % (CHANNELS * PANELS) == 0 and problem.channels % ROWS == 0
    return whole and problem.groups == 1 and dtype == np.float32


def convolve(x: np.ndarray, packed: np.ndarray, finish: Finish, problem: Problem) -> np.ndarray:
    """Convolve pixels x (N, H, W, C) with filters packed by ``direct.pack``: (N, P, Q, K)."""
    channels, filters = problem.channels, problem.filters
    y = aligned((problem.batch, *problem.out, filters), x.dtype)
    rows, reaches = _reaches(problem)
    size = problem.size[1] * channels, channels
    steps = tuple(s * n for s, n in zip(problem.stride, size, strict=True))
    operands = (a.reshape(len(a), math.prod(a.shape[1:])) for a in (x, packed, y))
    room = per_thread_scratch("block", (ROWS * PANELS * CHANNELS,), x.dtype)
    shares = -(-filters // (SHARE * CHANNELS))
    parallel_range(_through_taps, len(x) * len(rows) * shares, rows, reaches, shares, *operands,
              problem.out[1], steps, channels, finish.vectors(filters, x.dtype), room,
              step=1)  # fmt: skip
    return y


@lru_cache(maxsize=256)
def _reaches(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Return the tasks' rows of outputs, and what the taps reach of them.

    The rows are (first, last, first reach, last reach); a reach is tap, the first row and column of
    outputs, their rows and columns, and the first number of an image that it sees.
    """
    rows, reaches = [], []
    step = max(1, OUTPUTS // max(1, problem.out[1]))
    for first, last in spans(problem.out[0], step):
        begin = len(reaches)
        for i, j, (out, across), (top, left) in taps(problem, first, last):
            seen = (top.start * problem.size[1] + left.start) * problem.channels
            shape = out.stop - out.start, across.stop - across.start
            tap = i * problem.kernel[1] + j
            reaches.append((tap, out.start, across.start, *shape, seen))
        rows.append((first, last, begin, len(reaches)))
    return tuple(np.array(a, np.int64).reshape(len(a), -1) for a in (rows, reaches))


@parallel_kernel
def _through_taps(
    first, last, thread_id, rows, reaches, shares, x, weights, y, width, steps, channels, end, room
):
    """Compute some rows of outputs for a share of the filters."""
    filters, flat = len(weights) * CHANNELS, weights.reshape(-1)
    for task in range(first, last):
        place, share = divmod(task, shares)
        image, index = divmod(place, len(rows))
        top, bottom, begin, stop = rows[index]
        panels = share * SHARE, min((share + 1) * SHARE, len(weights))
        pixels = y[image].reshape(-1, filters)[top * width : bottom * width]
        pixels[:, panels[0] * CHANNELS : panels[1] * CHANNELS] = 0
        for reach in reaches[begin:stop]:
            target = (reach[1] * width + reach[2]) * filters, width * filters, filters
            source, shape = (reach[5], steps[0], steps[1]), (reach[3], reach[4])
            tap = reach[0] * channels * CHANNELS, weights.shape[1]
            _add_tap(x[image], source, flat, tap, y[image], target, shape, channels, panels,
                     room[thread_id])  # fmt: skip
        for m in range(len(pixels)):
            for panel in range(*panels):
                end_rows(pixels, m, 1, 1, panel * CHANNELS, end)


@inner
def _add_tap(x, source, weights, filters, y, target, shape, channels, panels, room):
    """Add what a tap gives to ``shape`` = (rows, columns) outputs of some panels of filters.

    ``source`` and ``target`` are (first number, from line to line, from output to output) in the
    flat x and y, and ``filters`` is (first, from panel to panel) in the flat weights.
    """
    rows, columns = shape
    many, few = cut(columns)
    beyond = many * ROWS + few * OTHER > columns
    for panel in range(panels[0], panels[1], PANELS):
        for deep in range(0, channels, DEPTH):
            steps = min(DEPTH, channels - deep)
            b = weights, filters[0] + panel * filters[1] + deep * CHANNELS, filters[1]
            for row in range(rows):
                x_row = source[0] + row * source[1] + deep
                y_row = target[0] + row * target[1] + panel * CHANNELS
                for k in range(many - beyond):
                    a = x, x_row + k * ROWS * source[2], source[2], 1, 0
                    c = y, y_row + k * ROWS * target[2], target[2], CHANNELS
                    product(ROWS, PANELS, a, b, c, 1, steps, 1)
                for k in range(few):
                    q = many * ROWS + k * OTHER
                    a = x, x_row + q * source[2], source[2], 1, 0
                    c = y, y_row + q * target[2], target[2], CHANNELS
                    product(OTHER, PANELS, a, b, c, 1, steps, 1)
                if beyond:
                    done = (many - 1) * ROWS
                    _add_rest(x, x_row, source[2], b, y, y_row, target[2], done, columns, steps,
                              room)  # fmt: skip


@inner
def _add_rest(x, x_row, x_pixel, b, y, y_row, y_pixel, done, columns, steps, room):
    """Add to the outputs behind those that are done, which are fewer than a block."""
    if done == 0:
        for q in range(columns):
            a = x, x_row + q * x_pixel, x_pixel, 1, 0
            c = y, y_row + q * y_pixel, y_pixel, CHANNELS
            product(1, PANELS, a, b, c, 1, steps, 1)
        return
    q = columns - ROWS
    a = x, x_row + q * x_pixel, x_pixel, 1, 0
    c = room, 0, PANELS * CHANNELS, CHANNELS
    product(ROWS, PANELS, a, b, c, 1, steps, 0)
    for r in range(done - q, ROWS):
        for k in range(PANELS * CHANNELS):
            y[y_row + (q + r) * y_pixel + k] += room[r * PANELS * CHANNELS + k]


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
            to_panels(dy[n, rows, columns], 0, panels)
            inputs = x[n].reshape(-1)[(top.start * width + left.start) * channels :]
            order = line, pixel, 0, channels
            add_band(inputs, panels.reshape(-1), by_tap, first, shape, order)

    parallel_for(run, len(tasks))
    return by_filter(totals, problem.kernel)
