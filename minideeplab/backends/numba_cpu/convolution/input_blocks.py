"""Bands of a picture: the input rows that some rows of outputs see, with the padding written out.

A band is one flat array. Then the taps of a kernel's row are one run of numbers in it, and every
step from output to output or from kernel row to kernel row is a constant: see ``direct.py``. A 1x1
convolution needs no copy, and all pixels of the batch are one row for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from minideeplab.backends.numba_cpu.convolution.microkernel import ROWS
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.runtime.jit import inner
from minideeplab.backends.numba_cpu.runtime.parallel import spans

BAND_BYTES = 1 << 17  # of inputs, so that they and the filters fit an L2 cache
LEAST_PIXELS = 128  # of a band of a 1x1 convolution: for fewer the filters are read too often
BANDS = 8  # fewest bands of a picture, where it has as many rows; of a long row, a multiple of it


@dataclass(frozen=True)
class Bands:
    """Rectangles of outputs, and where their products find what they see.

    ``rectangles`` (count, 5) has image, top, left, rows and columns of each. ``order`` is how far
    apart in a band the operands of a product are: (from output row to output row, from output to
    output, from kernel row to kernel row, length of a kernel row).
    """

    rectangles: np.ndarray
    order: tuple[int, int, int, int]
    geometry: tuple  # as ``seen`` takes it
    numbers: int  # that the largest band has, and some behind it that may be read
    outputs: int  # of the largest band


def flattened(problem: Problem) -> Problem:
    """Return a 1x1 convolution as that of one row with all pixels of the batch; others as is."""
    row = (1, problem.batch * problem.outputs)
    return replace(problem, batch=1, size=row, out=row) if problem.pointwise else problem


@lru_cache(maxsize=256)
def bands(problem: Problem) -> Bands:
    """Return bands that cover the outputs."""
    rectangles = np.array(_rectangles(problem), np.int64)
    stride, kernel, channels = problem.stride, problem.kernel, problem.channels
    row = _width(problem) * channels
    order = (row * stride[0], channels * stride[1], row * problem.dilation[0], channels * kernel[1])
    whole = problem.pointwise, problem.size, stride, problem.start, kernel, problem.dilation
    rows, columns = rectangles[:, 3:].max(0).tolist()
    height = (rows - 1) * stride[0] + (kernel[0] - 1) * problem.dilation[0] + 1
    numbers = height * ((columns - 1) * stride[1] + kernel[1]) * channels
    return Bands(rectangles, order, (*whole, channels), numbers + ROWS, rows * columns)


def _rectangles(problem: Problem) -> list[tuple[int, int, int, int, int]]:
    """Return whole rows, or parts of a single row, as ``Bands.rectangles``."""
    height, width = problem.out
    if problem.pointwise and height == 1:
        blocks = max(1, width // ROWS)  # the last one may be longer
        most = max(LEAST_PIXELS, BAND_BYTES // (4 * problem.channels)) // ROWS
        count = -(-blocks // most)
        if count > 1:  # threads end at about the same time
            count = min(blocks, -(-count // BANDS) * BANDS)
        ends = [k * blocks // count * ROWS for k in range(count)] + [width]
        return [
            (n, 0, first, 1, stop - first)
            for n in range(problem.batch)
            for first, stop in pairwise(ends)
        ]
    row_bytes = problem.stride[0] * _width(problem) * problem.channels * 4
    rows = max(1, min(BAND_BYTES // row_bytes, -(-height // BANDS)))
    cuts = spans(height, rows)
    return [(n, top, 0, end - top, width) for n in range(problem.batch) for top, end in cuts]


def _width(problem: Problem) -> int:
    """Return the pixels of an input row that the outputs of a row see."""
    return (problem.out[1] - 1) * problem.stride[1] + problem.kernel[1]


@inner
def seen(x, rectangle, geometry, beyond, room):
    """Return what a band of outputs sees of pixels x (N, H, W, C), flat.

    A 1x1 convolution sees the pixels where they lie; others a copy, in ``room``. ``beyond`` numbers
    may be read behind the last one; their values do not matter.
    """
    pointwise, size, stride, start, kernel, dilation, channels = geometry
    image, top, left, rows, columns = rectangle
    if pointwise:
        first = (image * size[0] + top) * size[1] + left
        stop = (first + (rows - 1) * size[1] + columns) * channels + beyond
        if stop <= x.size:
            return x.reshape(-1)[first * channels : stop]
    height = (rows - 1) * stride[0] + (kernel[0] - 1) * dilation[0] + 1
    length = ((columns - 1) * stride[1] + kernel[1]) * channels
    band = room[: height * length].reshape(height, length)
    picture = x[image].reshape(size[0], size[1] * channels)
    _fill(picture, band, top * stride[0] - start[0], (left * stride[1] - start[1]) * channels)
    return room


@inner
def _fill(x, target, top, left):
    """Copy rows from (top, left) on of x (H, W * C), zero outside."""
    for row in range(target.shape[0]):
        h, line = top + row, target[row]
        if h < 0 or h >= x.shape[0]:
            line[:] = 0
            continue
        first = min(line.size, max(0, -left))
        last = max(first, min(line.size, x.shape[1] - left))
        line[:first] = 0
        line[last:] = 0
        inside, source = line[first:last], x[h, left + first : left + last]
        for c in range(inside.size):
            inside[c] = source[c]
