"""Pooling. Definitions: ``ops/pool.py``.

Forward, one thread per window. Backward, the gradient of the mean is gathered: one thread per pixel
adds the shares of the windows that cover it,

    windows with stride s = 2, k = 3        p = 0 [0 1 2]
                                            p = 1     [2 3 4]
                                            p = 2         [4 5 6]     pixel 4 reads p = 1, 2

The gradient of the maximum is scattered: one thread per window adds to its argmax. A pixel may be
the argmax of several windows, so the addition is atomic and its order is not fixed: where windows
overlap, the last digits of a gradient may differ between runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import cuda

from minideeplab.backends.cuda.device import xp
from minideeplab.backends.cuda.launch import device_function, kernel
from minideeplab.ops.pool import pooled_size
from minideeplab.ops.window import Pair


@kernel("pool.cu")
def max_pool(x, y, indices, size, height, width, rows, cols, kh, kw, sh, sw, ph, pw, dh, dw):
    """The maximum of each window and its index in the plane; -1 for a window without pixels."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        q, p, plane = e % cols, e // cols % rows, e // cols // rows
        best, place = x.dtype.type(-np.inf), -1
        for i in range(kh):
            h = p * sh - ph + i * dh
            for j in range(kw):
                w = q * sw - pw + j * dw
                if h >= 0 and h < height and w >= 0 and w < width:
                    value = x[(plane * height + h) * width + w]
                    if value > best or value != value or place < 0:
                        best, place = value, h * width + w
        y[e] = best
        indices[e] = place


@kernel("pool.cu")
def max_pool_gradient(dy, indices, dx, size, windows, pixels):
    """Add dy of each window to its argmax; ``windows`` and ``pixels`` of one plane."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        if indices[e] >= 0:
            cuda.atomic.add(dx, e // windows * pixels + indices[e], dy[e])


@device_function
def window_size(index, size, kernel, stride, padding, include_pad):
    """Size of window ``index`` along an axis, clipped to the padded input."""
    start = index * stride - padding
    end = min(start + kernel, size + padding)
    return end - start if include_pad else min(end, size) - max(start, 0)


@kernel("pool.cu")
def avg_pool(x, y, size, height, width, rows, cols, kh, kw, sh, sw, ph, pw, include_pad, override):
    """The sum of each window over its size, or over ``override`` if that is not 0."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        q, p, plane = e % cols, e // cols % rows, e // cols // rows
        total = x.dtype.type(0)
        for i in range(kh):
            h = p * sh - ph + i
            for j in range(kw):
                w = q * sw - pw + j
                if h >= 0 and h < height and w >= 0 and w < width:
                    total += x[(plane * height + h) * width + w]
        count = override
        if override == 0:
            down = window_size(p, height, kh, sh, ph, include_pad)
            count = down * window_size(q, width, kw, sw, pw, include_pad)
        y[e] = total / x.dtype.type(count)


@kernel("pool.cu")
def avg_pool_gradient(
    dy, dx, size, height, width, rows, cols, kh, kw, sh, sw, ph, pw, include_pad, override
):
    """dx of a pixel: the sum over the windows that cover it of dy / their size."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        w, h, plane = e % width, e // width % height, e // width // height
        total = dy.dtype.type(0)
        for p in range(max(0, (h + ph - kh) // sh + 1), min(rows, (h + ph) // sh + 1)):
            for q in range(max(0, (w + pw - kw) // sw + 1), min(cols, (w + pw) // sw + 1)):
                count = override
                if override == 0:
                    down = window_size(p, height, kh, sh, ph, include_pad)
                    count = down * window_size(q, width, kw, sw, pw, include_pad)
                total += dy[(plane * rows + p) * cols + q] / dy.dtype.type(count)
        dx[e] = total


@device_function
def cell_start(i, size, cells):
    """The first of the ``size`` pixels in cell i of ``cells``."""
    return i * size // cells


@device_function
def cell_end(i, size, cells):
    """The end of cell i, exclusive."""
    return ((i + 1) * size + cells - 1) // cells


@kernel("pool.cu")
def cell_means(x, y, size, height, width, rows, cols):
    """The mean of each cell: rows floor(p H / P) .. ceil((p + 1) H / P), columns likewise."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        q, p, plane = e % cols, e // cols % rows, e // cols // rows
        top, bottom = cell_start(p, height, rows), cell_end(p, height, rows)
        left, right = cell_start(q, width, cols), cell_end(q, width, cols)
        total = x.dtype.type(0)
        for h in range(top, bottom):
            for w in range(left, right):
                total += x[(plane * height + h) * width + w]
        y[e] = total / x.dtype.type((bottom - top) * (right - left))


@kernel("pool.cu")
def cell_means_gradient(dy, dx, size, height, width, rows, cols):
    """dx of a pixel: the sum over its cells of dy / their size."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        w, h, plane = e % width, e // width % height, e // width // height
        total = dy.dtype.type(0)
        for p in range(cell_start(h, rows, height), cell_end(h, rows, height)):
            down = cell_end(p, height, rows) - cell_start(p, height, rows)
            for q in range(cell_start(w, cols, width), cell_end(w, cols, width)):
                across = cell_end(q, width, cols) - cell_start(q, width, cols)
                total += dy[(plane * rows + p) * cols + q] / dy.dtype.type(down * across)
        dx[e] = total


def max_pool2d(
    x: Any, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[Any, Any]:
    """(y, indices) of x (N, C, H, W), both (N, C, P, Q); indices int64 into the H*W pixels."""
    size = x.shape[2:]
    out = tuple(map(pooled_size, size, kernel_size, stride, padding, dilation, (ceil_mode,) * 2))
    y = xp.empty((*x.shape[:2], *out), x.dtype)
    indices = xp.empty(y.shape, np.int64)
    window = (*kernel_size, *stride, *padding, *dilation)
    max_pool(y.size, x, y, indices, y.size, *size, *out, *window)
    return y, indices


def max_pool2d_backward(dy: Any, indices: Any, x_shape: Sequence[int]) -> Any:
    """dx (N, C, H, W): dy of each window is added to its argmax."""
    dx = xp.zeros(tuple(x_shape), dy.dtype)
    windows, pixels = dy.shape[2] * dy.shape[3], x_shape[2] * x_shape[3]
    max_pool_gradient(dy.size, dy, indices, dx, dy.size, windows, pixels)
    return dx


def max_pool2d_without_indices(x: Any, *options: Any) -> Any:
    """The maxima of `max_pool2d` alone."""
    return max_pool2d(x, *options)[0]


def max_pool2d_without_indices_backward(dy: Any, x: Any, y: Any, *options: Any) -> Any:
    """dx (N, C, H, W): the indices are computed again from x."""
    return max_pool2d_backward(dy, max_pool2d(x, *options)[1], x.shape)


def _averaging(
    size: Sequence[int], kernel_size: Pair, stride: Pair, padding: Pair,
    ceil_mode: bool, count_include_pad: bool, divisor_override: int | None,
) -> tuple[Pair, tuple[int, ...]]:  # fmt: skip
    """(P, Q) and the integer arguments of both kernels of the mean."""
    rows, cols = (
        pooled_size(size[a], kernel_size[a], stride[a], padding[a], 1, ceil_mode) for a in (0, 1)
    )
    window = (*kernel_size, *stride, *padding, int(count_include_pad), divisor_override or 0)
    return (rows, cols), (*size, rows, cols, *window)


def avg_pool2d(x: Any, *options: Any) -> Any:
    """Mean of each window of x (N, C, H, W): (N, C, P, Q); options as in the definition."""
    out, numbers = _averaging(x.shape[2:], *options)
    y = xp.empty((*x.shape[:2], *out), x.dtype)
    avg_pool(y.size, x, y, y.size, *numbers)
    return y


def avg_pool2d_backward(dy: Any, x_shape: Sequence[int], *options: Any) -> Any:
    """dx (N, C, H, W): every pixel of a window gets the same share of its dy."""
    _, numbers = _averaging(x_shape[2:], *options)
    dx = xp.empty(tuple(x_shape), dy.dtype)
    avg_pool_gradient(dx.size, dy, dx, dx.size, *numbers)
    return dx


def adaptive_avg_pool2d(x: Any, output_size: Pair) -> Any:
    """Mean over the cells of a P x Q grid laid on x (N, C, H, W): (N, C, P, Q)."""
    y = xp.empty((*x.shape[:2], *output_size), x.dtype)
    cell_means(y.size, x, y, y.size, *x.shape[2:], *output_size)
    return y


def adaptive_avg_pool2d_backward(dy: Any, x_shape: Sequence[int]) -> Any:
    """dx (N, C, H, W): every pixel of a cell gets dy / (pixels in the cell)."""
    dx = xp.empty(tuple(x_shape), dy.dtype)
    cell_means_gradient(dx.size, dy, dx, dx.size, *x_shape[2:], *dy.shape[2:])
    return dx
