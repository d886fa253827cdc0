"""The weight gradient of the direct form: the product of ``direct.py`` along the outputs.

dw[(i, j, c), k] = sum over outputs of seen[(i, j, c)] * dy[k]. The rows (j, c) of one i are a run
of the band; dy is laid out in panels of sixteen filters first.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.bands import bands, flattened, seen
from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.registers import PANELS, ROWS, product
from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.threads import in_pieces, rooms
from minideeplab.backends.numba_cpu.together import together

MOST_BYTES = 1 << 20  # of a gradient of which each task has its own
TASKS = 8  # whatever the number of threads


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem) -> np.ndarray:
    """Return dw (K, C, kh, kw) for dy (N, P, Q, K) and x (N, H, W, C).

    Each task sums over some bands; where the gradient is large, over all of them for some filters.
    """
    kernel, channels, filters = problem.kernel, problem.channels, problem.filters
    problem = flattened(problem)
    x, dy = x.reshape(problem.batch, *problem.size, -1), dy.reshape(problem.batch, *problem.out, -1)
    cut = bands(problem)
    panels, length = -(-filters // CHANNELS), cut.order[3]
    whole = -(-length // ROWS) * ROWS
    large = kernel[0] * whole * panels * CHANNELS * 4 > MOST_BYTES
    parts = 1 if large else min(TASKS, len(cut.rectangles))
    sums = np.zeros((parts, kernel[0], whole, panels * CHANNELS), dy.dtype)
    share = max(PANELS, -(-panels // TASKS // PANELS) * PANELS) if large else panels
    held = rooms("band", (cut.numbers,), x.dtype)
    columns = rooms("panels", (share * cut.outputs, CHANNELS), dy.dtype)
    tasks, how = parts * -(-panels // share), (cut.geometry, cut.order, share)
    in_pieces(_add_bands, tasks, cut.rectangles, x, dy, sums, *how, held, columns, step=1)
    dw = sums.sum(0)[:, :length, :filters].reshape(*kernel, channels, filters)
    return np.ascontiguousarray(dw.transpose(3, 2, 0, 1))


@together
def _add_bands(first, last, me, rectangles, x, dy, sums, geometry, order, share, held, columns):
    """Sum every so many-th band for some panels of filters: task (panels, part)."""
    beyond = ROWS if sums.shape[2] > order[3] else 0
    for task in range(first, last):
        part, begin = task % len(sums), task // len(sums) * share
        count = min(share, sums.shape[3] // CHANNELS - begin)
        for index in range(part, len(rectangles), len(sums)):
            image, top, left, rows, width = rectangles[index]
            cotangents = dy[image, top : top + rows, left : left + width]
            panels = columns[me, : count * rows * width]
            to_panels(cotangents, begin, panels)
            inputs = seen(x, rectangles[index], geometry, beyond, held[me])
            add_band(inputs, panels.reshape(-1), sums[part], begin, (rows, width), order)


@jit
def to_panels(pixels, begin, panels):
    """Copy pixels (P, Q, K), from filter panel ``begin`` on, to panels (panels * P * Q, 16).

    Zeros are put behind the last filter.
    """
    height, width, filters = pixels.shape
    for panel in range(len(panels) // (height * width)):
        first = (begin + panel) * CHANNELS
        for p in range(height):
            for q in range(width):
                target, source = panels[(panel * height + p) * width + q], pixels[p, q]
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
