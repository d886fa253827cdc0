"""The weight gradient of the direct form: the product of ``direct.py`` along the outputs.

dw[(i, j, c), k] = sum over outputs of seen[(i, j, c)] * dy[k]. The rows (j, c) of one i are a run
of the band; dy is laid out in panels of sixteen filters first.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.bands import bands, flattened, seen, steps
from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.registers import PANELS, ROWS, product
from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.threads import parallel_for, scratch, spans

MOST_BYTES = 1 << 20  # of a gradient of which each task has its own
TASKS = 8  # whatever the number of threads


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem) -> np.ndarray:
    """Return dw (K, C, kh, kw) for dy (N, P, Q, K) and x (N, H, W, C).

    Each task sums over some bands; where the gradient is large, over all of them for some filters.
    """
    kernel, channels, filters = problem.kernel, problem.channels, problem.filters
    problem = flattened(problem)
    x, dy = x.reshape(problem.batch, *problem.size, -1), dy.reshape(problem.batch, *problem.out, -1)
    pieces, by = bands(problem), steps(problem)
    panels, whole = -(-filters // CHANNELS), -(-by.length // ROWS) * ROWS
    order, beyond = (by.line, by.pixel, by.run, by.length), whole > by.length
    large = kernel[0] * whole * panels * CHANNELS * 4 > MOST_BYTES
    segments = 1 if large else min(TASKS, len(pieces))
    parts = np.zeros((segments, kernel[0], whole, panels * CHANNELS), dy.dtype)
    share = -(-panels // TASKS // PANELS) * PANELS if large else panels
    tasks = [(s, cut) for s in range(segments) for cut in spans(panels, max(PANELS, share))]

    def run(index: int) -> None:
        segment, (first, last) = tasks[index]
        for band in pieces[segment::segments]:
            cut = slice(band.top, band.top + band.rows), slice(band.left, band.left + band.columns)
            cotangents = dy[(band.image, *cut)].reshape(-1, filters)
            held = scratch("panels", ((last - first) * len(cotangents), CHANNELS), dy.dtype)
            to_panels(cotangents[:, first * CHANNELS : last * CHANNELS], held)
            inputs, shape = seen(x, problem, band, beyond), (band.rows, band.columns)
            add_band(inputs, held.reshape(-1), parts[segment], first, shape, order)

    parallel_for(run, len(tasks))
    dw = parts.sum(0)[:, : by.length, :filters].reshape(*kernel, channels, filters)
    return np.ascontiguousarray(dw.transpose(3, 2, 0, 1))


@jit
def to_panels(rows, panels):
    """Copy rows (L, K) to panels (K / 16 * L, 16), zeros behind."""
    length, filters = rows.shape
    for panel in range(panels.shape[0] // length):
        first = panel * CHANNELS
        for line in range(length):
            target, source = panels[panel * length + line], rows[line]
            for k in range(CHANNELS):
                target[k] = source[first + k] if first + k < filters else 0


@jit
def add_band(inputs, cotangents, dw, first, shape, order):
    """Add the gradient of ``shape`` = (rows, columns) outputs to dw (kh, rows of a run, K).

    The cotangents' panels are those from ``first`` on.
    """
    line, pixel, run, length = order
    kernel, whole, filters = dw.shape
    flat, size = dw.reshape(-1), shape[0] * shape[1] * CHANNELS
    panels = cotangents.size // size
    for panel in range(0, panels, PANELS):
        both = PANELS == 1 or panel + 1 < panels
        b = (cotangents, panel * size, size)
        for i in range(kernel):
            for row in range(0, length, ROWS):
                a = (inputs, i * run + row, 1, pixel, line)
                place = (i * whole + row) * filters + (first + panel) * CHANNELS
                c = (flat, place, filters, CHANNELS)
                if both:
                    product(ROWS, PANELS, a, b, c, shape[0], shape[1], 1)
                else:
                    product(ROWS, 1, a, b, c, shape[0], shape[1], 1)
