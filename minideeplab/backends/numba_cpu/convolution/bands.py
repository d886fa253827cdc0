"""Bands of a picture: the input rows that some rows of outputs see, with the padding written out.

A band is one flat array. Then the taps of a kernel's row are one run of numbers in it, and every
step from output to output or from kernel row to kernel row is a constant: see ``direct.py``. A 1x1
convolution needs no copy, and all pixels of the batch are one row for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.registers import ROWS
from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.threads import scratch, spans

BAND_BYTES = 1 << 17  # of inputs, so that they and the filters fit an L2 cache
LEAST_PIXELS = 128  # of a band of a 1x1 convolution: for fewer the filters are read too often
BANDS = 8  # fewest bands of a picture, where it has as many rows


@dataclass(frozen=True)
class Band:
    """A rectangle of outputs of one image, and so of what they see."""

    image: int
    top: int
    left: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Steps:
    """How far apart in a band the operands of a product are."""

    line: int  # from output row to output row
    pixel: int  # from output to output
    run: int  # from kernel row to kernel row
    length: int  # of a kernel row


def flattened(problem: Problem) -> Problem:
    """Return a 1x1 convolution as that of one row with all pixels of the batch; others as is."""
    row = (1, problem.batch * problem.outputs)
    return replace(problem, batch=1, size=row, out=row) if problem.pointwise else problem


def bands(problem: Problem) -> list[Band]:
    """Return rectangles that cover the outputs: whole rows, or parts of a single row."""
    height, width = problem.out
    if problem.pointwise and height == 1:
        step = max(LEAST_PIXELS, BAND_BYTES // (4 * problem.channels))
        *cuts, (last, end) = spans(width, step)
        if cuts and end - last < ROWS:
            last = cuts.pop()[0]
        return [
            Band(n, 0, first, 1, stop - first)
            for n in range(problem.batch)
            for first, stop in [*cuts, (last, end)]
        ]
    row_bytes = problem.stride[0] * _width(problem) * problem.channels * 4
    rows = max(1, min(BAND_BYTES // row_bytes, -(-height // BANDS)))
    cuts = spans(height, rows)
    return [Band(n, top, 0, end - top, width) for n in range(problem.batch) for top, end in cuts]


def _width(problem: Problem) -> int:
    """Return the pixels of an input row that the outputs of a row see."""
    return (problem.out[1] - 1) * problem.stride[1] + problem.kernel[1]


def steps(problem: Problem) -> Steps:
    """Return the steps in the problem's bands."""
    row, channels = _width(problem) * problem.channels, problem.channels
    return Steps(
        line=row * problem.stride[0],
        pixel=channels * problem.stride[1],
        run=row * problem.dilation[0],
        length=channels * problem.kernel[1],
    )


def seen(x: np.ndarray, problem: Problem, band: Band, beyond: bool = False) -> np.ndarray:
    """Return what a band of outputs sees of pixels x (N, H, W, C), flat.

    A 1x1 convolution sees the pixels where they lie; others a copy. If ``beyond``, as many numbers
    as a product has rows may be read behind the last one; their values do not matter.
    """
    picture, channels = x[band.image], problem.channels
    if problem.pointwise:
        height, width = problem.size
        first = (band.image * height + band.top) * width + band.left
        stop = (first + (band.rows - 1) * width + band.columns) * channels + beyond * ROWS
        if stop <= x.size:
            return x.reshape(-1)[first * channels : stop]
    stride, start = problem.stride, problem.start
    rows = (band.rows - 1) * stride[0] + (problem.kernel[0] - 1) * problem.dilation[0] + 1
    length = ((band.columns - 1) * stride[1] + problem.kernel[1]) * channels
    held = scratch("band", (rows * length + ROWS,), x.dtype)
    top, left = band.top * stride[0] - start[0], band.left * stride[1] - start[1]
    target = held[: rows * length].reshape(rows, length)
    _fill(picture.reshape(len(picture), -1), target, top, left * channels)
    return held


@jit
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
