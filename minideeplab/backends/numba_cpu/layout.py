"""Channels last: the memory order in which every kernel of this backend works.

The arrays keep their shape (N, C, H, W); only their strides say that the channels of a pixel lie
side by side. A pixel is then a contiguous row of C numbers, which suits vectors and matrix
products alike. Input in another order is copied once, at the edge of a network; results stay
channels last from one operation to the next.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.threads import GRAIN, parallel_for, spans


def pixels(x: np.ndarray) -> np.ndarray:
    """Return x (N, C, H, W) as contiguous (N, H, W, C): a view if x is channels last already."""
    last = x.transpose(0, 2, 3, 1)
    if last.flags.c_contiguous or not x.flags.c_contiguous:
        return np.ascontiguousarray(last)
    result = np.empty(last.shape, x.dtype)
    transpose_matrices(
        x.reshape(len(x), x.shape[1], x.shape[2] * x.shape[3]),
        result.reshape(len(x), x.shape[2] * x.shape[3], x.shape[1]),
    )
    return result


def maps(y: np.ndarray) -> np.ndarray:
    """Return pixels (N, H, W, C) as an array of shape (N, C, H, W), without a copy."""
    return y.transpose(0, 3, 1, 2)


def transpose_matrices(source: np.ndarray, target: np.ndarray) -> None:
    """Copy matrices (N, R, L) to (N, L, R), on all threads."""
    count, rows, length = source.shape
    strips = spans(length, max(16, GRAIN // max(1, rows)))
    tasks = [(n, strip) for n in range(count) for strip in strips]

    def run(index: int) -> None:
        n, (start, stop) = tasks[index]
        _transpose(source[n], target[n], start, stop)

    parallel_for(run, len(tasks))


@jit
def _transpose(source, target, start, stop):
    """``target[start:stop] = source[:, start:stop].T``, in blocks that fit the first cache."""
    for first in range(start, stop, 16):
        last = min(stop, first + 16)
        for row in range(source.shape[0]):
            part = source[row, first:last]
            for i in range(part.size):
                target[first + i, row] = part[i]


def common_order(*arrays: np.ndarray) -> tuple[list[np.ndarray], Callable]:
    """Return arrays of one shape as contiguous ones of one memory order, and the way back.

    For elementwise work: C order if the first array has it, else channels last.
    """
    if arrays[0].ndim == 4 and not arrays[0].flags.c_contiguous:
        return [pixels(a) for a in arrays], maps
    return [np.asarray(a, order="C") for a in arrays], np.asarray
