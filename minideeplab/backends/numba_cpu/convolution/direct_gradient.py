"""The weight gradient of the direct form: the product of ``direct.py`` along the outputs.

dw[(i, j, c), k] = sum over outputs of seen[(i, j, c)] * dy[k]. The rows (j, c) of one i are a run
of the band; dy is laid out in panels of sixteen filters first. Each task sums over some bands.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.bands import band, bands, steps
from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS, load, store
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.registers import PANELS, ROWS, product
from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.threads import parallel_for, scratch

MOST_BYTES = 1 << 20  # of a gradient of which each task has its own
SEGMENTS = 8  # tasks, whatever the number of threads


def suits(problem: Problem) -> bool:
    """Return whether partial sums are small enough to be worth it, where ``direct.suits``."""
    return problem.taps * problem.channels * problem.filters * 4 <= MOST_BYTES


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem) -> np.ndarray:
    """Return dw (K, C, kh, kw) for dy (N, P, Q, K) and x (N, H, W, C)."""
    tasks, by, kernel = bands(problem), steps(problem), problem.kernel
    segments, whole = min(SEGMENTS, len(tasks)), -(-by.length // ROWS) * ROWS
    parts = np.zeros((segments, kernel[0], whole, problem.filters), dy.dtype)
    order = (by.line, by.pixel, by.run, by.length)

    def run(segment: int) -> None:
        for n, first, last in tasks[segment::segments]:
            cotangents = dy[n, first:last].reshape(-1, problem.filters)
            panels = scratch("panels", (cotangents.size // CHANNELS, CHANNELS), dy.dtype)
            _panels(cotangents, panels)
            seen, shape = band(x[n], problem, first, last), (last - first, problem.out[1])
            _add(seen, panels.reshape(-1), parts[segment], shape, order)

    parallel_for(run, segments)
    dw = parts.sum(0)[:, : by.length].reshape(*kernel, problem.channels, problem.filters)
    return np.ascontiguousarray(dw.transpose(3, 2, 0, 1))


@jit
def _panels(rows, panels):
    """Copy rows (L, K) to panels (K / 16 * L, 16)."""
    for panel in range(rows.shape[1] // CHANNELS):
        for line in range(rows.shape[0]):
            place = panel * rows.shape[0] + line
            store(panels, place, 0, load(rows, line, panel * CHANNELS))


@jit
def _add(seen, cotangents, dw, shape, order):
    """Add the gradient of ``shape`` = (rows, columns) outputs to dw (kh, rows of a run, K)."""
    line, pixel, run, length = order
    kernel, whole, filters = dw.shape
    flat, size = dw.reshape(-1), shape[0] * shape[1] * CHANNELS
    for panel in range(0, filters // CHANNELS, PANELS):
        both = PANELS == 1 or panel + 1 < filters // CHANNELS
        b = (cotangents, panel * size, size)
        for i in range(kernel):
            for row in range(0, length, ROWS):
                a = (seen, i * run + row, 1, pixel, line)
                place = (i * whole + row) * filters + panel * CHANNELS
                c = (flat, place, filters, CHANNELS)
                if both:
                    product(ROWS, PANELS, a, b, c, shape[0], shape[1], 1)
                else:
                    product(ROWS, 1, a, b, c, shape[0], shape[1], 1)
