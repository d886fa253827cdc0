"""im2col (unfold) and its adjoint col2im (fold). Definitions: ``ops/im2col.py``.

``unfold_windows``: one thread per entry of the columns. ``fold_windows``: one thread per pixel of
the image gathers from the windows that contain it, so no two threads write to the same element:

    columns (tap, window)              image
    tap 0   . a .  .                   pixel (h, w) = a + b + c + d
    tap 1   b . .  .          ->       the window of tap i starts at h + top - i * dilation:
    tap 2   . . c  .                   it counts if a window starts there (a multiple of
    tap 3   . . .  d                   the stride, inside the grid of windows)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba import cuda

from minideeplab.backends.cuda.device import xp
from minideeplab.backends.cuda.launch import kernel
from minideeplab.ops.window import Padding, Pair, output_shape


@kernel("im2col.cu")
def unfold_windows(x, columns, size, height, width, kh, kw, rows, cols, sh, sw, dh, dw, top, left):
    """columns[nc, i, j, p, q] = x[nc, p sh + i dh - top, q sw + j dw - left], 0 outside."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        q, rest = e % cols, e // cols
        p, rest = rest % rows, rest // rows
        j, rest = rest % kw, rest // kw
        i, nc = rest % kh, rest // kh
        h = p * sh + i * dh - top
        w = q * sw + j * dw - left
        if h >= 0 and h < height and w >= 0 and w < width:
            columns[e] = x[(nc * height + h) * width + w]
        else:
            columns[e] = x.dtype.type(0)


@kernel("im2col.cu")
def fold_windows(columns, x, size, height, width, kh, kw, rows, cols, sh, sw, dh, dw, top, left):
    """x[nc, h, w] = the sum of all entries that `unfold_windows` reads from there."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        w, rest = e % width, e // width
        h, nc = rest % height, rest // height
        total = x.dtype.type(0)
        for i in range(kh):
            down = h + top - i * dh
            p = down // sh
            if down >= 0 and down % sh == 0 and p < rows:
                for j in range(kw):
                    right = w + left - j * dw
                    q = right // sw
                    if right >= 0 and right % sw == 0 and q < cols:
                        total += columns[(((nc * kh + i) * kw + j) * rows + p) * cols + q]
        x[e] = total


def window_sizes(
    size: Pair, kernel_size: Pair, out: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> tuple[int, ...]:
    """The integer arguments of both kernels: (H, W, kh, kw, P, Q, sh, sw, dh, dw, top, left)."""
    return (*size, *kernel_size, *out, *stride, *dilation, padding[0][0], padding[1][0])


def columns_of(x: Any, sizes: tuple[int, ...]) -> Any:
    """Columns (N, C*kh*kw, P*Q) of x (N, C, H, W); ``sizes`` from `window_sizes`."""
    _, _, kh, kw, rows, cols, *_ = sizes
    columns = xp.empty((len(x), x.shape[1] * kh * kw, rows * cols), x.dtype)
    unfold_windows(columns.size, x, columns, columns.size, *sizes)
    return columns


def unfold(x: Any, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Any:
    """Columns (N, C*kh*kw, L) of x (N, C, H, W)."""
    return columns_of(x, _sizes_of(x.shape[2:], kernel_size, dilation, padding, stride))


def unfold_backward(
    dy: Any, x_shape: Sequence[int], kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair
) -> Any:
    """dx (N, C, H, W) for dy (N, C*kh*kw, L)."""
    return fold(dy, (x_shape[2], x_shape[3]), kernel_size, dilation, padding, stride)


def fold(
    x: Any, output_size: Pair, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair
) -> Any:
    """The image (N, C, *output_size) that is the sum of the columns (N, C*kh*kw, L)."""
    sizes = _sizes_of(output_size, kernel_size, dilation, padding, stride)
    y = xp.empty((len(x), x.shape[1] // (kernel_size[0] * kernel_size[1]), *output_size), x.dtype)
    fold_windows(y.size, x, y, y.size, *sizes)
    return y


def fold_backward(dy: Any, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Any:
    """Gradient (N, C*kh*kw, L) of the columns for dy (N, C, H, W)."""
    return unfold(dy, kernel_size, dilation, padding, stride)


def both_sides(padding: Pair) -> Padding:
    """The padding of each side of both axes from one number per axis."""
    return (padding[0], padding[0]), (padding[1], padding[1])


def _sizes_of(
    size: Pair, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair
) -> tuple[int, ...]:
    """`window_sizes` of `unfold`, whose padding is the same on both sides."""
    sides = both_sides(padding)
    out = output_shape(size, kernel_size, stride, sides, dilation)
    return window_sizes(size, kernel_size, out, stride, sides, dilation)
