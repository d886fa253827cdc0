"""Channels last: the memory order in which every kernel of this backend works.

The arrays keep their shape (N, C, H, W); their strides put the channels of a pixel side by side. A
pixel is then a contiguous row of C numbers, which suits SIMD and matmul alike. Input in another
order is copied once, at the start of a network; results stay channels last between operations.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minideeplab.backends.numba_cpu.runtime.parallel import GRAIN, parallel_kernel, parallel_range

BLOCK = 16  # rows that are written at a time: a cache line of each row that is read


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
    strip = max(16, GRAIN // max(1, rows))
    parallel_range(_transpose, count * -(-length // strip), source, target, strip, step=1)


@parallel_kernel
def _transpose(first, last, thread_id, source, target, strip):
    """Copy strips of rows of ``target``, in blocks that fit the first cache."""
    count, rows, length = source.shape
    for task in range(first, last):
        n, start = task % count, task // count * strip
        stop = min(start + strip, length)
        for top in range(start, stop, BLOCK):
            for row in range(rows):
                part = source[n, row, top : min(stop, top + BLOCK)]
                for i in range(part.size):
                    target[n, top + i, row] = part[i]


def common_order(*arrays: np.ndarray) -> tuple[list[np.ndarray], Callable]:
    """Return arrays of one shape as contiguous ones of one memory order, and the inverse.

    For elementwise work: C order if the first array has it, else channels last.
    """
    if arrays[0].ndim == 4 and not arrays[0].flags.c_contiguous:
        return [pixels(a) for a in arrays], maps
    return [np.asarray(a, order="C") for a in arrays], np.asarray
