"""Convolution as one matrix product with the unrolled windows: exact for every case.

``y = columns @ w``, ``dw = columns.T @ dy`` and ``dcolumns = dy @ w.T``, where row ``(p, q)`` of
the columns holds what output ``(p, q)`` sees. They exist only some hundred rows at a time, so that
they are still in cache when BLAS reads them; a 1x1 convolution needs none.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.columns import col2im, im2col, im2col_runs
from minideeplab.backends.numba_cpu.convolution.epilogue import Finish
from minideeplab.backends.numba_cpu.convolution.filters import by_channel, by_filter, matrices
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.runtime.parallel import one_blas_thread, parallel_for, spans
from minideeplab.backends.numba_cpu.runtime.scratch import scratch
from minideeplab.ops.window import Pair

STRIP_ELEMENTS = 1 << 20  # unrolled at a time: 4 MiB of float32, near the size of an L2 cache
BLOCK_COLUMNS = 576  # most columns that one task of a backward pass owns
TASKS = 8  # fewest tasks that a backward pass is cut into, where the sizes allow it


def _strips(columns: int, length: int) -> list[Pair]:
    return spans(length, min(512, max(128, STRIP_ELEMENTS // max(1, columns))))


def _columns(picture: np.ndarray, strip: Pair, problem: Problem) -> np.ndarray:
    """Unroll the outputs [strip) of ``picture`` (H, W, C): (L, taps * C)."""
    start, stop = strip
    channels = picture.shape[2]
    if problem.pointwise:
        return picture.reshape(problem.outputs, channels)[start:stop]
    columns = scratch("columns", (stop - start, problem.taps * channels), picture.dtype)
    if problem.dilation[1] == 1 and picture.flags.c_contiguous:
        rows = picture.reshape(picture.shape[0], picture.shape[1] * channels)
        im2col_runs(rows, columns, start, problem.out[1], channels, problem.window)
    else:
        im2col(picture, columns, start, problem.out[1], problem.window)
    return columns


def convolve(x: np.ndarray, filters: np.ndarray, finish: Finish, problem: Problem) -> np.ndarray:
    """Convolve pixels x (N, H, W, C) with filters (G, C / G, taps, K / G): (N, P, Q, K)."""
    groups, weights = problem.groups, matrices(filters)
    y = np.empty((problem.batch, *problem.out, problem.filters), x.dtype)
    out = y.reshape(problem.batch, problem.outputs, groups, problem.filters // groups)
    by_group = x.reshape(*x.shape[:3], groups, problem.channels // groups)
    strips = _strips(weights.shape[1], problem.outputs)
    tasks = [(n, g, s) for n in range(problem.batch) for g in range(groups) for s in strips]

    def run(index: int) -> None:
        n, g, strip = tasks[index]
        part = out[n, slice(*strip), g]
        np.matmul(_columns(by_group[n, :, :, g], strip, problem), weights[g], out=part)
        finish.apply(part, g * part.shape[1])

    with one_blas_thread():
        parallel_for(run, len(tasks))
    return y


def _blocks(channels: int, problem: Problem) -> list[Pair]:
    """Cut the channels of a group into blocks whose columns one task owns."""
    most = max(1, BLOCK_COLUMNS // problem.taps)
    return spans(channels, min(most, max(16, -(-channels // TASKS))))


def input_gradient(dy: np.ndarray, w: np.ndarray, problem: Problem) -> np.ndarray:
    """Return dx (N, H, W, C) for dy (N, P, Q, K); each task scatters some channels of one image."""
    groups, channels = problem.groups, problem.channels // problem.groups
    dx = np.zeros((problem.batch, *problem.size, problem.channels), dy.dtype)
    by_group = dx.reshape(*dx.shape[:3], groups, channels)
    cotangents = dy.reshape(problem.batch, problem.outputs, groups, problem.filters // groups)
    weights = by_channel(w, groups).swapaxes(1, 2)  # (G, taps, C / G, K / G)
    blocks, strips = _blocks(channels, problem), _strips(BLOCK_COLUMNS, problem.outputs)
    tasks = [(n, g, block) for n in range(problem.batch) for g in range(groups) for block in blocks]

    def run(index: int) -> None:
        n, g, (first, last) = tasks[index]
        part = np.ascontiguousarray(weights[g, :, first:last])
        turned = part.reshape(-1, part.shape[2]).T
        for start, stop in strips:
            columns = scratch("columns", (stop - start, turned.shape[1]), dy.dtype)
            np.matmul(cotangents[n, start:stop, g], turned, out=columns)
            col2im(columns, by_group[n, :, :, g, first:last], start, problem.out[1], problem.window)

    with one_blas_thread():
        parallel_for(run, len(tasks))
    return dx


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem) -> np.ndarray:
    """Return dw (K, C / G, kh, kw); each task owns some channels and a part of the positions."""
    groups, channels = problem.groups, problem.channels // problem.groups
    filters = problem.filters // groups
    by_group = x.reshape(*x.shape[:3], groups, channels)
    cotangents = dy.reshape(problem.batch, problem.outputs, groups, filters)
    strips = _strips(BLOCK_COLUMNS, problem.outputs)
    positions = [(n, strip) for n in range(problem.batch) for strip in strips]
    blocks = _blocks(channels, problem)
    segments = max(1, min(len(positions), -(-TASKS // (groups * len(blocks)))))
    tasks = [(s, g, block) for s in range(segments) for g in range(groups) for block in blocks]
    partial = np.zeros((segments, groups, problem.taps, channels, filters), dy.dtype)

    def run(index: int) -> None:
        segment, g, (first, last) = tasks[index]
        total = partial[segment, g, :, first:last]
        product = scratch("product", total.shape, dy.dtype)
        for n, strip in positions[segment::segments]:
            columns = _columns(by_group[n, :, :, g, first:last], strip, problem)
            np.matmul(columns.T, cotangents[n, slice(*strip), g], out=product.reshape(-1, filters))
            total += product

    with one_blas_thread():
        parallel_for(run, len(tasks))
    return by_filter(partial.sum(0).swapaxes(1, 2), problem.kernel)
