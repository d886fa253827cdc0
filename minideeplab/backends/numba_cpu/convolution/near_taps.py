"""The form of ``taps.py`` with its sums in registers: float32, no groups, filters that fill blocks.

Under a tap, the pixels that a row of outputs sees lie one step apart, so the product of
``registers.py`` reads them where they are and adds to what other taps gave. A row ends with a block
that overlaps the one before; of that only what is new is added.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.direct_gradient import add_band, to_panels
from minideeplab.backends.numba_cpu.convolution.filters import by_filter
from minideeplab.backends.numba_cpu.convolution.finish import Finish
from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.registers import PANELS, ROWS, product
from minideeplab.backends.numba_cpu.convolution.taps import taps
from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.threads import aligned, parallel_for, scratch, spans

OUTPUTS = 256  # that one task computes, about


def suits(problem: Problem, dtype: np.dtype) -> bool:
    """Return whether the form exists here."""
    whole = problem.filters % (CHANNELS * PANELS) == 0 and problem.channels % ROWS == 0
    return whole and problem.groups == 1 and dtype == np.float32


def convolve(x: np.ndarray, packed: np.ndarray, finish: Finish, problem: Problem) -> np.ndarray:
    """Convolve pixels x (N, H, W, C) with filters packed by ``direct.pack``: (N, P, Q, K)."""
    channels, filters, width = problem.channels, problem.filters, problem.out[1]
    y = aligned((problem.batch, *problem.out, filters), x.dtype)
    blocks = spans(problem.out[0], max(1, OUTPUTS // max(1, width)))
    tasks = [(n, *block) for n in range(problem.batch) for block in blocks]
    line, pixel = problem.stride[0] * problem.size[1] * channels, problem.stride[1] * channels
    weights, size = packed.reshape(-1), problem.taps * channels * CHANNELS

    def run(index: int) -> None:
        n, first, last = tasks[index]
        y[n, first:last] = 0
        picture, result = x[n].reshape(-1), y[n].reshape(-1)
        room = scratch("block", (ROWS * PANELS * CHANNELS,), x.dtype)
        for i, j, (rows, columns), (top, left) in taps(problem, first, last):
            shape = rows.stop - rows.start, columns.stop - columns.start
            source = (top.start * problem.size[1] + left.start) * channels, line, pixel
            target = (rows.start * width + columns.start) * filters, width * filters, filters
            tap = (i * problem.kernel[1] + j) * channels * CHANNELS
            _add_tap(picture, source, weights, (tap, size), result, target, shape, channels, room)
        finish.apply(y[n, first:last], 0)

    parallel_for(run, len(tasks))
    return y


@jit
def _add_tap(x, source, weights, filters, y, target, shape, channels, room):
    """Add what a tap gives to ``shape`` = (rows, columns) outputs.

    ``source`` and ``target`` are (first number, from line to line, from output to output) in the
    flat x and y, and ``filters`` is (first, from panel to panel) in the flat weights.
    """
    rows, columns = shape
    for panel in range(0, target[2] // CHANNELS, PANELS):
        b = (weights, filters[0] + panel * filters[1], filters[1])
        for row in range(rows):
            x_row, y_row = source[0] + row * source[1], target[0] + row * target[1]
            y_row += panel * CHANNELS
            whole = columns // ROWS * ROWS
            for q in range(0, whole, ROWS):
                a = (x, x_row + q * source[2], source[2], 1, 0)
                c = (y, y_row + q * target[2], target[2], CHANNELS)
                product(ROWS, PANELS, a, b, c, 1, channels, 1)
            if whole == columns:
                continue
            if whole > 0:
                q = columns - ROWS
                a = (x, x_row + q * source[2], source[2], 1, 0)
                c = (room, 0, PANELS * CHANNELS, CHANNELS)
                product(ROWS, PANELS, a, b, c, 1, channels, 0)
                for r in range(whole - q, ROWS):
                    for k in range(PANELS * CHANNELS):
                        y[y_row + (q + r) * target[2] + k] += room[r * PANELS * CHANNELS + k]
            else:
                for q in range(columns):
                    a = (x, x_row + q * source[2], source[2], 1, 0)
                    c = (y, y_row + q * target[2], target[2], CHANNELS)
                    product(1, PANELS, a, b, c, 1, channels, 1)


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
