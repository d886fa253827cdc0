"""Windows as columns (im2col) and their sum back into a picture. Definitions: ``ops/im2col.py``.

``unfold_windows``: an entry of the columns a thread. ``fold_windows`` turns the sum around: a pixel
of the picture a thread, which looks up the windows that contain it, so that no two threads add to
the same place:

    columns (tap, window)              picture
    tap 0   . a .  .                   pixel (h, w) = a + b + c + d
    tap 1   b . .  .          ->       the window of tap i starts at h + top - i * dilation:
    tap 2   . . c  .                   it counts if a window starts there (a multiple of
    tap 3   . . .  d                   the stride, inside the grid of windows)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba import cuda

from minideeplab.backends.cuda.device import flat, xp
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


def unfold_padded(
    x: Any, kernel_size: Pair, out: Pair, dilation: Pair, padding: Padding, stride: Pair
) -> Any:
    """Columns (N, C*kh*kw, P*Q) of x (N, C, H, W), (P, Q) = ``out``; each side has its padding."""
    n, c, height, width = x.shape
    columns = xp.empty((n, c * kernel_size[0] * kernel_size[1], out[0] * out[1]), x.dtype)
    geometry = (height, width, *kernel_size, *out, *stride, *dilation, padding[0][0], padding[1][0])
    unfold_windows(columns.size, flat(x), columns.reshape(-1), columns.size, *geometry)
    return columns


def fold_into(
    x: Any,
    columns: Any,
    kernel_size: Pair,
    out: Pair,
    dilation: Pair,
    padding: Padding,
    stride: Pair,
) -> None:
    """Fill a contiguous x (N, C, H, W) from columns (N, C*kh*kw, P*Q): see `unfold_padded`."""
    size = x.shape[2:]
    geometry = (*size, *kernel_size, *out, *stride, *dilation, padding[0][0], padding[1][0])
    fold_windows(x.size, flat(columns), x.reshape(-1), x.size, *geometry)


def _sides(padding: Pair) -> Padding:
    return (padding[0], padding[0]), (padding[1], padding[1])


def unfold(x: Any, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Any:
    """Columns (N, C*kh*kw, L) of x (N, C, H, W)."""
    sides = _sides(padding)
    out = output_shape(x.shape[2:], kernel_size, stride, sides, dilation)
    return unfold_padded(x, kernel_size, out, dilation, sides, stride)


def unfold_backward(
    dy: Any, x_shape: Sequence[int], kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair
) -> Any:
    """dx (N, C, H, W) for dy (N, C*kh*kw, L)."""
    return fold(dy, (x_shape[2], x_shape[3]), kernel_size, dilation, padding, stride)


def fold(
    x: Any, output_size: Pair, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair
) -> Any:
    """Add columns (N, C*kh*kw, L) up into a picture (N, C, *output_size)."""
    sides = _sides(padding)
    out = output_shape(output_size, kernel_size, stride, sides, dilation)
    shape = (len(x), x.shape[1] // (kernel_size[0] * kernel_size[1]), *output_size)
    y = xp.empty(shape, x.dtype)
    fold_into(y, x, kernel_size, out, dilation, sides, stride)
    return y


def fold_backward(dy: Any, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Any:
    """Cotangent of the columns (N, C*kh*kw, L) for dy (N, C, H, W)."""
    return unfold(dy, kernel_size, dilation, padding, stride)
