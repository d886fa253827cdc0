"""Bands of a picture: the input rows that some rows of outputs see, with the padding written out.

A band is one flat array. Then the taps of a kernel's row are one run of numbers in it, and every
step from output to output or from kernel row to kernel row is a constant: see ``direct.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.registers import ROWS
from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.threads import scratch, spans

BAND_BYTES = 1 << 17  # of inputs, so that they and the filters fit an L2 cache
BANDS = 8  # fewest bands of a picture, where it has as many rows


@dataclass(frozen=True)
class Steps:
    """How far apart in a band the operands of a product are."""

    line: int  # from output row to output row
    pixel: int  # from output to output
    run: int  # from kernel row to kernel row
    length: int  # of a kernel row


def bands(problem: Problem) -> list[tuple[int, int, int]]:
    """Return (image, first output row, last) for all bands of the batch."""
    row_bytes = problem.stride[0] * _width(problem) * problem.channels * 4
    rows = max(1, min(BAND_BYTES // row_bytes, -(-problem.out[0] // BANDS)))
    return [(n, *cut) for n in range(problem.batch) for cut in spans(problem.out[0], rows)]


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


def band(x: np.ndarray, problem: Problem, first: int, last: int) -> np.ndarray:
    """Return what output rows [first, last) see of the picture x (H, W, C), flat.

    A few numbers behind it may be read too; their values do not matter.
    """
    reach = (problem.kernel[0] - 1) * problem.dilation[0]
    rows = (last - 1 - first) * problem.stride[0] + reach + 1
    length = _width(problem) * problem.channels
    held = scratch("band", (rows * length + ROWS,), x.dtype)
    top, left = first * problem.stride[0] - problem.start[0], -problem.start[1] * problem.channels
    _fill(x.reshape(x.shape[0], -1), held[: rows * length].reshape(rows, length), top, left)
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
