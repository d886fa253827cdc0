"""Convolution as one matmul with the unrolled windows: exact, and serves every case.

``y = columns @ w``, ``dw = columns.T @ dy`` and ``dcolumns = dy @ w.T``. Row ``p * Q + q`` of the
columns holds what output (p, q) sees: the pixels under the taps in turn, the channels of a pixel
side by side, ``[(i, j), c] = x[p * sh - top + i * dh, q * sw - left + j * dw, c]``, zero outside
the image. Only some hundred rows exist at a time, so that they are still in cache when BLAS reads
them. A 1x1 convolution needs none. Filters are stored with the K of one weight side by side.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.epilogue import Epilogue
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.layout import transpose_matrices
from minideeplab.backends.numba_cpu.runtime.blas import one_blas_thread
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_for, spans
from minideeplab.backends.numba_cpu.runtime.scratch import scratch
from minideeplab.ops.window import Pair

STRIP_ELEMENTS = 1 << 20  # unrolled at a time: 4 MiB of float32, near the size of an L2 cache
BLOCK_COLUMNS = 576  # most columns that one task of a backward pass owns
TASKS = 8  # fewest tasks that a backward pass is cut into, where the sizes allow it


def by_channel(w: np.ndarray, groups: int) -> np.ndarray:
    """Return w (K, C / G, kh, kw) as (G, C / G, taps, K / G)."""
    filters, channels, kh, kw = w.shape
    source = np.ascontiguousarray(w).reshape(groups, filters // groups, channels * kh * kw)
    result = np.empty((groups, channels, kh * kw, filters // groups), w.dtype)
    transpose_matrices(source, result.reshape(groups, channels * kh * kw, filters // groups))
    return result


def by_filter(dw: np.ndarray, kernel: Pair) -> np.ndarray:
    """Return dw (G, C / G, taps, K / G) as (K, C / G, kh, kw): the inverse of ``by_channel``."""
    groups, channels, taps, filters = dw.shape
    result = np.empty((groups, filters, channels * taps), dw.dtype)
    transpose_matrices(dw.reshape(groups, channels * taps, filters), result)
    return result.reshape(groups * filters, channels, *kernel)


def transposed(w: np.ndarray, groups: int) -> np.ndarray:
    """Return w for the transposed problem, the taps reversed: (G, K / G, taps, C / G)."""
    filters, channels, kh, kw = w.shape
    source = np.ascontiguousarray(w).reshape(filters, channels, kh * kw)
    result = np.empty((filters, kh * kw, channels), w.dtype)
    transpose_matrices(source, result)
    return result.reshape(groups, filters // groups, kh * kw, channels)[:, :, ::-1]


def _strips(columns: int, length: int) -> list[Pair]:
    return spans(length, min(512, max(128, STRIP_ELEMENTS // max(1, columns))))


def _columns(image: np.ndarray, strip: Pair, problem: Problem) -> np.ndarray:
    """Unroll the outputs [strip) of ``image`` (H, W, C): (L, taps * C)."""
    start, stop = strip
    channels = image.shape[2]
    if problem.pointwise:
        return image.reshape(problem.outputs, channels)[start:stop]
    columns = scratch("columns", (stop - start, problem.taps * channels), image.dtype)
    if problem.dilation[1] == 1 and image.flags.c_contiguous:
        rows = image.reshape(image.shape[0], image.shape[1] * channels)
        im2col_runs(rows, columns, start, problem.out[1], channels, problem.window)
    else:
        im2col(image, columns, start, problem.out[1], problem.window)
    return columns


def convolve(
    x: np.ndarray, filters: np.ndarray, epilogue: Epilogue, problem: Problem
) -> np.ndarray:
    """Convolve pixels x (N, H, W, C) with filters (G, C / G, taps, K / G): (N, P, Q, K)."""
    groups, count = problem.groups, problem.filters // problem.groups
    weights = np.ascontiguousarray(filters.swapaxes(1, 2)).reshape(groups, -1, count)
    y = np.empty((problem.batch, *problem.out, problem.filters), x.dtype)
    out = y.reshape(problem.batch, problem.outputs, groups, count)
    by_group = x.reshape(*x.shape[:3], groups, problem.channels // groups)
    strips = _strips(weights.shape[1], problem.outputs)
    tasks = [(n, g, s) for n in range(problem.batch) for g in range(groups) for s in strips]

    def run(index: int) -> None:
        n, g, strip = tasks[index]
        part = out[n, slice(*strip), g]
        np.matmul(_columns(by_group[n, :, :, g], strip, problem), weights[g], out=part)
        epilogue.apply(part, g * part.shape[1])

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
        transposed = part.reshape(-1, part.shape[2]).T
        for start, stop in strips:
            columns = scratch("columns", (stop - start, transposed.shape[1]), dy.dtype)
            np.matmul(cotangents[n, start:stop, g], transposed, out=columns)
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


@jit
def im2col(x, columns, start, width, window):
    """Fill ``columns`` (L, taps * C) with outputs [start, start + L) of the image x (H, W, C)."""
    kh, kw, sh, sw, top, left, dh, dw = window
    height, length, channels = x.shape
    for line in range(columns.shape[0]):
        p, q = divmod(start + line, width)
        row = columns[line]
        for i in range(kh):
            h = p * sh - top + i * dh
            for j in range(kw):
                w = q * sw - left + j * dw
                target = row[(i * kw + j) * channels : (i * kw + j + 1) * channels]
                if h < 0 or h >= height or w < 0 or w >= length:
                    target[:] = 0
                else:
                    source = x[h, w]
                    for c in range(target.size):
                        target[c] = source[c]


@jit
def im2col_runs(x, columns, start, width, channels, window):
    """Compute ``im2col`` for dilation 1 along rows: a kernel row is one run of x (H, W * C)."""
    kh, kw, sh, sw, top, left, dh, _ = window
    run = kw * channels
    for line in range(columns.shape[0]):
        p, q = divmod(start + line, width)
        begin = (q * sw - left) * channels
        first = min(run, max(0, -begin))
        last = max(first, min(run, x.shape[1] - begin))
        for i in range(kh):
            h = p * sh - top + i * dh
            target = columns[line, i * run : (i + 1) * run]
            if h < 0 or h >= x.shape[0]:
                target[:] = 0
                continue
            target[:first] = 0
            target[last:] = 0
            inside, source = target[first:last], x[h, begin + first : begin + last]
            for c in range(inside.size):
                inside[c] = source[c]


@jit
def col2im(columns, x, start, width, window):
    """Add every row of ``columns`` (L, taps * C) to the pixels of x (H, W, C) it was read from."""
    kh, kw, sh, sw, top, left, dh, dw = window
    height, length, channels = x.shape
    for line in range(columns.shape[0]):
        p, q = divmod(start + line, width)
        row = columns[line]
        for i in range(kh):
            h = p * sh - top + i * dh
            for j in range(kw):
                w = q * sw - left + j * dw
                if h >= 0 and h < height and w >= 0 and w < length:
                    source = row[(i * kw + j) * channels : (i * kw + j + 1) * channels]
                    target = x[h, w]
                    for c in range(source.size):
                        target[c] += source[c]
