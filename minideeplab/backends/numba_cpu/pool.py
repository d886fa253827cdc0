"""Max and average pooling, channels last: a task per row of windows, every channel at once."""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.layout import maps, pixels
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_kernel, parallel_range
from minideeplab.ops.pool import divisor, pooled_size
from minideeplab.ops.window import Pair

BLOCK = 16  # channels whose cotangents a task scatters


def output_shape(x, kernel_size, stride, padding, dilation, ceil_mode) -> tuple[int, ...]:
    """Return (N, P, Q, C), the shape of the result in pixels."""
    rows, columns = (
        pooled_size(x.shape[2 + a], kernel_size[a], stride[a], padding[a], dilation[a], ceil_mode)
        for a in (0, 1)
    )
    return x.shape[0], rows, columns, x.shape[1]


def max_pool2d(
    x: np.ndarray, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the maxima (N, C, P, Q) and their positions in the H * W plane (int64).

    The first of equal values wins, NaN beats everything, padding is -inf.
    """
    shape = output_shape(x, kernel_size, stride, padding, dilation, ceil_mode)
    window = (*kernel_size, *stride, *padding, *dilation)
    x, y, indices = pixels(x), np.empty(shape, x.dtype), np.empty(shape, np.int64)
    work = shape[2] * shape[3] * window[0] * window[1]
    parallel_range(_max_pool, shape[0] * shape[1], x, y, indices, window, work=work)
    return maps(y), maps(indices)


@parallel_kernel
def _max_pool(first, last, thread_id, x, y, indices, window):
    """Fill rows [first, last) of the N * P rows of windows."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    height, width = x.shape[1], x.shape[2]
    for line in range(first, last):
        n, p = divmod(line, y.shape[1])
        for q in range(y.shape[2]):
            best, index = y[n, p, q], indices[n, p, q]
            best[:] = -np.inf
            index[:] = -1
            for i in range(kh):
                h = p * sh - ph + i * dh
                for j in range(kw):
                    w = q * sw - pw + j * dw
                    if h >= 0 and h < height and w >= 0 and w < width:
                        _take_larger(x[n, h, w], best, index, h * width + w)


@jit
def _take_larger(values, best, index, position):
    for c in range(values.size):
        value = values[c]
        take = value > best[c] or value != value or index[c] < 0
        best[c] = value if take else best[c]
        index[c] = position if take else index[c]


def max_pool2d_backward(
    dy: np.ndarray, indices: np.ndarray, x_shape: tuple[int, ...]
) -> np.ndarray:
    """Return dx: every cotangent is added at the position of its maximum."""
    count, channels, height, width = x_shape
    dx = np.zeros((count, height * width, channels), dy.dtype)
    windows = dy.shape[2] * dy.shape[3]
    dy, indices = (pixels(a).reshape(count, windows, channels) for a in (dy, indices))
    parallel_range(_scatter, count * -(-channels // BLOCK), dy, indices, dx, step=1)
    return maps(dx.reshape(count, height, width, channels))


@parallel_kernel
def _scatter(first, last, thread_id, dy, indices, dx):
    """A task is a block of channels of one image."""
    count, channels = len(dy), dy.shape[2]
    for task in range(first, last):
        n, begin = task % count, task // count * BLOCK
        for line in range(dy.shape[1]):
            for c in range(begin, min(begin + BLOCK, channels)):
                position = indices[n, line, c]
                if position >= 0:  # a window without any pixel has no maximum
                    dx[n, position, c] += dy[n, line, c]


def _divisors(size, out, options, count_include_pad, divisor_override, dtype) -> np.ndarray:
    """Return the divisors of the windows' sums, (P, Q)."""
    value = divisor(size, out, *options, count_include_pad, divisor_override)
    return np.broadcast_to(np.asarray(value, dtype), out).copy()


def avg_pool2d(
    x: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """Return the window averages (N, C, P, Q)."""
    options, size = (kernel_size, stride, padding), x.shape[2:]
    shape = output_shape(x, *options, (1, 1), ceil_mode)
    divisors = _divisors(size, shape[1:3], options, count_include_pad, divisor_override, x.dtype)
    x, y = pixels(x), np.empty(shape, x.dtype)
    window = (*kernel_size, *stride, *padding)
    work = shape[2] * shape[3] * kernel_size[0] * kernel_size[1]
    parallel_range(_average, shape[0] * shape[1], x, y, divisors, window, work=work)
    return maps(y)


@parallel_kernel
def _average(first, last, thread_id, x, y, divisors, window):
    kh, kw, sh, sw, ph, pw = window
    for line in range(first, last):
        n, p = divmod(line, y.shape[1])
        for q in range(y.shape[2]):
            total = y[n, p, q]
            total[:] = 0
            for h in range(max(0, p * sh - ph), min(x.shape[1], p * sh - ph + kh)):
                for w in range(max(0, q * sw - pw), min(x.shape[2], q * sw - pw + kw)):
                    value = x[n, h, w]
                    for c in range(total.size):
                        total[c] += value[c]
            for c in range(total.size):
                total[c] /= divisors[p, q]


def avg_pool2d_backward(
    dy: np.ndarray,
    x_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """Return dx (N, C, H, W): each pixel adds its share of every window that contains it."""
    options, (count, channels, height, width) = (kernel_size, stride, padding), x_shape
    divisors = _divisors(
        (height, width), dy.shape[2:], options, count_include_pad, divisor_override, dy.dtype
    )
    dy, dx = pixels(dy), np.zeros((count, height, width, channels), dy.dtype)
    window = (*kernel_size, *stride, *padding)
    work = width * channels * kernel_size[0] * kernel_size[1]
    parallel_range(_collect, count * height, dy, dx, divisors, window, work=work)
    return maps(dx)


@parallel_kernel
def _collect(first, last, thread_id, dy, dx, divisors, window):
    kh, kw, sh, sw, ph, pw = window
    for line in range(first, last):
        n, h = divmod(line, dx.shape[1])
        # window p contains row h if p * sh - ph <= h < p * sh - ph + kh
        top, bottom = max(0, (h + ph - kh) // sh + 1), min(dy.shape[1], (h + ph) // sh + 1)
        for w in range(dx.shape[2]):
            total = dx[n, h, w]
            left, right = max(0, (w + pw - kw) // sw + 1), min(dy.shape[2], (w + pw) // sw + 1)
            for p in range(top, bottom):
                for q in range(left, right):
                    share = dy[n, p, q]
                    for c in range(total.size):
                        total[c] += share[c] / divisors[p, q]
