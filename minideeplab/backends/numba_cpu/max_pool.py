"""Max pooling for networks, which never ask where a maximum was: its place is found going back.

Remembering a place of eight bytes for every maximum of four is what a max pool would spend its time
on. Going back, the windows are compared with their maximum again; picture and maximum are both kept
by their neighbours anyway. ``pool.py`` has the form that returns the places.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.layout import maps, pixels
from minideeplab.backends.numba_cpu.threads import GRAIN, in_pieces
from minideeplab.backends.numba_cpu.together import together
from minideeplab.ops.pool import pooled_size
from minideeplab.ops.window import Pair


def max_pool2d_values(
    x: np.ndarray, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> np.ndarray:
    """Return the maxima (N, C, P, Q) of x (N, C, H, W); NaN beats everything, padding is -inf."""
    rows, columns = (
        pooled_size(x.shape[2 + a], kernel_size[a], stride[a], padding[a], dilation[a], ceil_mode)
        for a in (0, 1)
    )
    y = np.empty((x.shape[0], rows, columns, x.shape[1]), x.dtype)
    window, x = (*kernel_size, *stride, *padding, *dilation), pixels(x)
    work = columns * x.shape[3] * kernel_size[0] * kernel_size[1]
    in_pieces(_maxima, len(y) * rows, x, y, window, work=work)
    return maps(y)


@together
def _maxima(first, last, me, x, y, window):
    """Fill rows [first, last) of the N * P rows of windows: the maxima of columns, then of rows."""
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
        larger = value if value > held else held  # written so that LLVM makes vectors of it
        best[c] = larger if value == value else value


def max_pool2d_values_backward(
    dy: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> np.ndarray:
    """Return dx (N, C, H, W): each cotangent goes where its maximum was.

    That is the first of equal values, and the last NaN. Each task owns some rows of one picture.
    """
    x, y, dy = pixels(x), pixels(y), pixels(dy)
    dx, window = np.empty_like(x), (*kernel_size, *stride, *padding, *dilation)
    band = max(4 * stride[0], GRAIN // max(1, x.shape[2] * x.shape[3]))
    count = len(x) * -(-x.shape[1] // band)
    in_pieces(_scatter, count, dy, x, y, dx, band, window, step=1)
    return maps(dx)


@together
def _scatter(first, last, me, dy, x, y, dx, band, window):
    """A task is a band of rows of one picture."""
    for task in range(first, last):
        n, top = task % len(x), task // len(x) * band
        _scatter_band(dy[n], x[n], y[n], dx[n], top, min(top + band, x.shape[1]), window)


@jit
def _scatter_band(dy, x, y, dx, first, last, window):
    """Fill rows [first, last) of the picture dx, from every window that reaches into them."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    dx[first:last] = 0
    share, elsewhere = np.empty(dx.shape[2], dx.dtype), np.zeros(dx.shape[2], dx.dtype)
    top, bottom = (first + ph - (kh - 1) * dh) // sh, (last - 1 + ph) // sh
    for p in range(max(0, top), min(y.shape[0], bottom + 1)):
        for q in range(y.shape[1]):
            best, cotangent, nans = y[p, q], dy[p, q], 0
            for c in range(share.size):
                share[c] = cotangent[c]
                nans += best[c] != best[c]
            for i in range(kh):
                h = p * sh - ph + i * dh
                if h < 0 or h >= x.shape[0]:
                    continue
                for j in range(kw):
                    w = q * sw - pw + j * dw
                    if w < 0 or w >= x.shape[1]:
                        continue
                    target = dx[h, w] if first <= h < last else elsewhere
                    _hand_over(share, x[h, w], best, target)
            if nans > 0:
                _scatter_nans(cotangent, x, best, dx, first, last, window, p, q)


@jit
def _hand_over(share, values, best, target):
    """Move the shares of those channels whose value is the best one to the target."""
    zero = share.dtype.type(0)
    for c in range(share.size):
        left, hit = share[c], values[c] == best[c]
        target[c] += left if hit else zero
        share[c] = zero if hit else left


@jit
def _scatter_nans(cotangent, x, best, dx, first, last, window, p, q):
    """Where the maximum of window (p, q) is NaN, give the cotangent to the window's last NaN."""
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
