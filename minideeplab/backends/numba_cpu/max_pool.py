"""Max pooling without stored indices; backward recomputes the argmax.

Storing an index of eight bytes for every maximum of four would take most of the time of a max pool.
Backward compares the windows with their maximum again; input and maximum are both kept for other
gradients anyway. ``pool.py`` has the form that returns the indices.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.layout import maps, pixels
from minideeplab.backends.numba_cpu.pool import max_pool2d, max_pool2d_backward, output_shape
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel import GRAIN, parallel_kernel, parallel_range
from minideeplab.backends.numba_cpu.runtime.scratch import aligned
from minideeplab.backends.numba_cpu.simd import (
    CHANNELS,
    has_nan,
    load_channels,
    store,
    where_equal,
    where_unequal,
)
from minideeplab.ops.window import Pair


def max_pool2d_without_indices(
    x: np.ndarray, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> np.ndarray:
    """Return the maxima (N, C, P, Q) of x (N, C, H, W); NaN beats everything, padding is -inf."""
    y = np.empty(output_shape(x, kernel_size, stride, padding, dilation, ceil_mode), x.dtype)
    window, x = (*kernel_size, *stride, *padding, *dilation), pixels(x)
    work = y.shape[2] * x.shape[3] * kernel_size[0] * kernel_size[1]
    parallel_range(_maxima, len(y) * y.shape[1], x, y, window, work=work)
    return maps(y)


@parallel_kernel
def _maxima(first, last, thread_id, x, y, window):
    """Fill rows [first, last) of the N * P rows of windows: maxima of columns, then of rows."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    columns = np.empty(x.shape[2:], x.dtype)
    for line in range(first, last):
        n, p = divmod(line, y.shape[1])
        columns[:] = -np.inf
        y[n, p] = -np.inf
        for i in range(kh):
            h = p * sh - ph + i * dh
            if h >= 0 and h < x.shape[1]:
                _keep_larger(x[n, h].reshape(-1), columns.reshape(-1))
        for q in range(y.shape[2]):
            for j in range(kw):
                w = q * sw - pw + j * dw
                if w >= 0 and w < x.shape[2]:
                    _keep_larger(columns[w], y[n, p, q])


@jit
def _keep_larger(values, best):
    for c in range(best.size):
        value, held = values[c], best[c]
        larger = value if value > held else held  # written so that LLVM vectorizes it
        best[c] = larger if value == value else value


def max_pool2d_without_indices_backward(
    dy: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> np.ndarray:
    """Return dx (N, C, H, W): each cotangent is added at the position of its maximum.

    That is the first of equal values, and the last NaN. Each task owns some rows of one image. If
    channels do not fill whole vectors, the indices are computed after all.
    """
    if x.shape[1] % CHANNELS:
        _, indices = max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode)
        return max_pool2d_backward(dy, indices, x.shape)
    x, y, dy = pixels(x), pixels(y), pixels(dy)
    dx, window = aligned(x.shape, x.dtype), (*kernel_size, *stride, *padding, *dilation)
    height = max(4 * stride[0], GRAIN // max(1, x.shape[2] * x.shape[3]))
    count = len(x) * -(-x.shape[1] // height)
    parallel_range(_scatter, count, dy, x, y, dx, height, window, step=1)
    return maps(dx)


@parallel_kernel
def _scatter(first, last, thread_id, dy, x, y, dx, height, window):
    """A task is some rows of one image."""
    for task in range(first, last):
        n, top = task % len(x), task // len(x) * height
        bottom = min(top + height, x.shape[1])
        _scatter_rows(dy[n], x[n], y[n], dx[n], top, bottom, window)


@jit
def _scatter_rows(dy, x, y, dx, first, last, window):
    """Fill rows [first, last) of the image dx, from every window that reaches into them.

    The rest of a cotangent stays in a register until a value equals the maximum.
    """
    kh, kw, sh, sw, ph, pw, dh, dw = window
    dx[first:last] = 0
    width, channels = dx.shape[1], dx.shape[2]
    images, results = x.reshape(-1, channels), dx.reshape(-1, channels)
    cotangents, maxima = dy.reshape(-1, channels), y.reshape(-1, channels)
    top, bottom = (first + ph - (kh - 1) * dh) // sh, (last - 1 + ph) // sh
    for p in range(max(0, top), min(y.shape[0], bottom + 1)):
        rows = _inside(p * sh - ph, dh, kh, x.shape[0])
        for q in range(y.shape[1]):
            columns = _inside(q * sw - pw, dw, kw, width)
            place, nans = p * y.shape[1] + q, False
            for lane in range(0, channels, CHANNELS):
                rest, best = (
                    load_channels(cotangents, place, lane),
                    load_channels(maxima, place, lane),
                )
                nans |= has_nan(best)
                for i in range(rows[0], rows[1]):
                    h = p * sh - ph + i * dh
                    for j in range(columns[0], columns[1]):
                        row = h * width + q * sw - pw + j * dw
                        values = load_channels(images, row, lane)
                        if first <= h < last:
                            given = where_equal(values, best, rest)
                            store(results, row, lane, load_channels(results, row, lane) + given)
                        rest = where_unequal(values, best, rest)
            if nans:
                _scatter_nans(dy[p, q], x, y[p, q], dx, first, last, window, p, q)


@jit
def _inside(start, step, count, size):
    """Return the first of ``count`` taps, ``step`` apart, in [0, size), and one past the last."""
    return max(0, -(start // step)), min(count, (size - 1 - start) // step + 1)


@jit
def _scatter_nans(cotangent, x, best, dx, first, last, window, p, q):
    """Add the cotangent of window (p, q) at its last NaN, in channels whose maximum is NaN."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    for c in range(best.size):
        row, column = -1, -1
        for i in range(kh):
            h = p * sh - ph + i * dh
            for j in range(kw):
                w = q * sw - pw + j * dw
                inside = h >= 0 and h < x.shape[0] and w >= 0 and w < x.shape[1]
                if inside and x[h, w, c] != x[h, w, c]:
                    row, column = h, w
        if best[c] != best[c] and first <= row < last:
            dx[row, column, c] += cotangent[c]
