"""Convolution tap by tap: for each tap, a matmul with the shifted image.

Only the outputs that the tap reaches are computed. With a dilation near the size of the map, as in
the pyramid of DeepLab (rates 18 and 24 on 41 x 41), most taps fall outside for most outputs, and
this beats every form that multiplies by the zeros of the padding.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minideeplab.backends.numba_cpu.convolution.epilogue import Epilogue
from minideeplab.backends.numba_cpu.convolution.im2col import by_filter
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.runtime.blas import one_blas_thread
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_for, spans

ROWS = 512  # outputs that one task computes, about


def _reach(problem: Problem, axis: int, tap: int, first: int, last: int) -> tuple[slice, slice]:
    """Return which of the outputs [first, last) see the image under ``tap``, and where."""
    stride, offset = problem.stride[axis], tap * problem.dilation[axis] - problem.start[axis]
    low = max(first, -(offset // stride))
    high = max(low, min(last, (problem.size[axis] - 1 - offset) // stride + 1))
    begin = low * stride + offset
    return slice(low, high), slice(begin, begin + (high - low) * stride, stride)


def taps(problem: Problem, first: int, last: int) -> Iterator[tuple]:
    """Yield (i, j, rows, columns of the output, rows, columns of the image) for each tap."""
    for i, j in np.ndindex(problem.kernel):
        rows, image_rows = _reach(problem, 0, i, first, last)
        columns, image_columns = _reach(problem, 1, j, 0, problem.out[1])
        if rows.start < rows.stop and columns.start < columns.stop:
            yield i, j, (rows, columns), (image_rows, image_columns)


def reached(problem: Problem) -> int:
    """Return how many pairs of an output and a tap of one channel fall inside the image."""
    pairs = (out for *_, out, _ in taps(problem, 0, problem.out[0]))
    return sum((r.stop - r.start) * (c.stop - c.start) for r, c in pairs)


def convolve(
    x: np.ndarray, filters: np.ndarray, epilogue: Epilogue, problem: Problem
) -> np.ndarray:
    """Convolve pixels x (N, H, W, C) with filters (G, C / G, taps, K / G): (N, P, Q, K)."""
    groups, count = problem.groups, problem.filters // problem.groups
    by_group = x.reshape(*x.shape[:3], groups, problem.channels // groups)
    weights = np.ascontiguousarray(filters.swapaxes(1, 2))  # (G, taps, C / G, K / G)
    y = np.zeros((problem.batch, *problem.out, groups, count), x.dtype)
    blocks = spans(problem.out[0], max(1, ROWS // problem.out[1]))
    tasks = [(n, g, block) for n in range(problem.batch) for g in range(groups) for block in blocks]

    def run(index: int) -> None:
        n, g, block = tasks[index]
        for i, j, out, inside in taps(problem, *block):
            image = by_group[n][(*inside, g)]
            product = image.reshape(-1, image.shape[2]) @ weights[g, i * problem.kernel[1] + j]
            y[n][(*out, g)] += product.reshape(*image.shape[:2], count)
        epilogue.apply(y[n, slice(*block), :, g], g * count)

    with one_blas_thread():
        parallel_for(run, len(tasks))
    return y.reshape(problem.batch, *problem.out, problem.filters)


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem) -> np.ndarray:
    """Return dw (K, C / G, kh, kw) for dy (N, P, Q, K); each task owns one tap of one group."""
    groups, channels = problem.groups, problem.channels // problem.groups
    filters = problem.filters // groups
    by_group = x.reshape(*x.shape[:3], groups, channels)
    cotangents = dy.reshape(*dy.shape[:3], groups, filters)
    totals = np.zeros((groups, channels, problem.taps, filters), dy.dtype)
    tasks = [(g, tap) for g in range(groups) for tap in taps(problem, 0, problem.out[0])]

    def run(index: int) -> None:
        g, (i, j, out, inside) = tasks[index]
        total = totals[g, :, i * problem.kernel[1] + j]
        for n in range(problem.batch):
            image = by_group[n][(*inside, g)].reshape(-1, channels)
            total += image.T @ cotangents[n][(*out, g)].reshape(-1, filters)

    with one_blas_thread():
        parallel_for(run, len(tasks))
    return by_filter(totals, problem.kernel)
