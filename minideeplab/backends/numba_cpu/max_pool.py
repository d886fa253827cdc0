"""Max pooling for networks, which never ask where a maximum was: its place is found going back.

Remembering a place of eight bytes for every maximum of four is what a max pool would spend its time
on. Going back, the windows are compared with their maximum again; picture and maximum are both kept
by their neighbours anyway. ``pool.py`` has the form that returns the places.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import types

from minideeplab.backends.numba_cpu.convolution.simd import CHANNELS, load, store
from minideeplab.backends.numba_cpu.layout import maps, pixels
from minideeplab.backends.numba_cpu.runtime.jit import compiled, jit
from minideeplab.backends.numba_cpu.runtime.parallel import GRAIN, aligned, in_pieces
from minideeplab.backends.numba_cpu.runtime.parallel_kernel import together
from minideeplab.ops.pool import pooled_size
from minideeplab.ops.window import Pair


def max_pool2d_without_indices(
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
    """Return dx (N, C, H, W): each cotangent goes where its maximum was.

    That is the first of equal values, and the last NaN. Each task owns some rows of one picture.
    """
    x, y, dy = pixels(x), pixels(y), pixels(dy)
    dx, window = aligned(x.shape, x.dtype), (*kernel_size, *stride, *padding, *dilation)
    band = max(4 * stride[0], GRAIN // max(1, x.shape[2] * x.shape[3]))
    count = len(x) * -(-x.shape[1] // band)
    in_pieces(_scatter, count, dy, x, y, dx, band, window, step=1)
    return maps(dx)


@together
def _scatter(first, last, me, dy, x, y, dx, band, window):
    """A task is a band of rows of one picture."""
    for task in range(first, last):
        n, top = task % len(x), task // len(x) * band
        bottom = min(top + band, x.shape[1])
        if x.shape[3] % CHANNELS == 0:
            _scatter_vectors(dy[n], x[n], y[n], dx[n], top, bottom, window)
        else:
            _scatter_band(dy[n], x[n], y[n], dx[n], top, bottom, window)


@jit
def _scatter_vectors(dy, x, y, dx, first, last, window):
    """Do as ``_scatter_band`` for sixteen channels at a time: the shares stay in a register."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    dx[first:last] = 0
    width, channels = dx.shape[1], dx.shape[2]
    pictures, results = x.reshape(-1, channels), dx.reshape(-1, channels)
    cotangents, maxima = dy.reshape(-1, channels), y.reshape(-1, channels)
    top, bottom = (first + ph - (kh - 1) * dh) // sh, (last - 1 + ph) // sh
    for p in range(max(0, top), min(y.shape[0], bottom + 1)):
        rows = _inside(p * sh - ph, dh, kh, x.shape[0])
        for q in range(y.shape[1]):
            columns = _inside(q * sw - pw, dw, kw, width)
            place, nans = p * y.shape[1] + q, False
            for lane in range(0, channels, CHANNELS):
                share, best = load(cotangents, place, lane), load(maxima, place, lane)
                nans |= has_nan(best)
                for i in range(rows[0], rows[1]):
                    h = p * sh - ph + i * dh
                    for j in range(columns[0], columns[1]):
                        row = h * width + q * sw - pw + j * dw
                        values = load(pictures, row, lane)
                        if first <= h < last:
                            given = where_equal(values, best, share)
                            store(results, row, lane, load(results, row, lane) + given)
                        share = where_unlike(values, best, share)
            if nans:
                _scatter_nans(dy[p, q], x, y[p, q], dx, first, last, window, p, q)


@jit
def _inside(start, step, count, size):
    """Return the first of ``count`` taps, ``step`` apart, in [0, size), and one behind the last."""
    return max(0, -(start // step)), min(count, (size - 1 - start) // step + 1)


def where_equal(a: np.ndarray, b: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values at which a and b are equal, elsewhere 0."""
    return np.where(a == b, values, values.dtype.type(0))


def where_unlike(a: np.ndarray, b: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values at which a and b differ or one is NaN, elsewhere 0."""
    return np.where(a == b, values.dtype.type(0), values)


def has_nan(vector: np.ndarray) -> bool:
    """Return whether a lane is NaN."""
    return bool(np.isnan(vector).any())


@compiled(where_equal, lambda a, b, values: values)
def _where_equal(context, builder, sig, args):
    a, b, values = args
    return builder.select(builder.fcmp_ordered("==", a, b), values, ir.Constant(values.type, None))


@compiled(where_unlike, lambda a, b, values: values)
def _where_unlike(context, builder, sig, args):
    a, b, values = args
    return builder.select(builder.fcmp_ordered("==", a, b), ir.Constant(values.type, None), values)


@compiled(has_nan, lambda vector: types.boolean)
def _has_nan(context, builder, sig, args):
    bits = ir.IntType(CHANNELS)
    nans = builder.bitcast(builder.fcmp_unordered("uno", args[0], args[0]), bits)
    return builder.icmp_unsigned("!=", nans, bits(0))


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
