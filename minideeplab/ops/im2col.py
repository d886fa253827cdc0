"""Windows laid out as columns (im2col) and their sum back into an image (col2im).

`unfold` turns convolution into one matrix product: y = w.reshape(F, C*kh*kw) @ unfold(x). `fold` is
its transpose, so each is the other's gradient.

Shapes: x (N, C, H, W) <-> columns (N, C*kh*kw, L), L = P*Q windows in reading order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minideeplab.ops.window import Pair, crop_planes, output_shape, pad_planes, tap


def unfold(
    x: np.ndarray, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair
) -> np.ndarray:
    """columns[n, (c, i, j), (p, q)] = x[n, c, p s + i d - pad, q s + j d - pad], 0 outside."""
    sides = ((padding[0], padding[0]), (padding[1], padding[1]))
    out = output_shape(x.shape[2:], kernel_size, stride, sides, dilation)
    n, c = x.shape[:2]
    x = pad_planes(x, sides)
    columns = np.empty((n, c, *kernel_size, *out), x.dtype)
    for i, j in np.ndindex(kernel_size):
        columns[:, :, i, j] = tap(x, i, j, out, stride, dilation)
    return columns.reshape(n, c * kernel_size[0] * kernel_size[1], out[0] * out[1])


def unfold_backward(
    dy: np.ndarray,
    x_shape: Sequence[int],
    kernel_size: Pair,
    dilation: Pair,
    padding: Pair,
    stride: Pair,
) -> np.ndarray:
    """dx (N, C, H, W) for dy (N, C*kh*kw, L): a pixel in many windows gets the sum of their dy."""
    return fold(dy, (x_shape[2], x_shape[3]), kernel_size, dilation, padding, stride)


def fold(
    x: np.ndarray,
    output_size: Pair,
    kernel_size: Pair,
    dilation: Pair,
    padding: Pair,
    stride: Pair,
) -> np.ndarray:
    """Add columns (N, C*kh*kw, L) up into an image (N, C, H, W), (H, W) = output_size."""
    sides = ((padding[0], padding[0]), (padding[1], padding[1]))
    out = output_shape(output_size, kernel_size, stride, sides, dilation)
    n, c = x.shape[0], x.shape[1] // (kernel_size[0] * kernel_size[1])
    columns = x.reshape(n, c, *kernel_size, *out)
    y = pad_planes(np.zeros((n, c, *output_size), x.dtype), sides)
    for i, j in np.ndindex(kernel_size):
        image = tap(y, i, j, out, stride, dilation)  # a view: adding to it adds to y
        image += columns[:, :, i, j]
    return crop_planes(y, sides, output_size)


def fold_backward(
    dy: np.ndarray, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair
) -> np.ndarray:
    """Cotangent of the columns (N, C*kh*kw, L) for dy (N, C, H, W)."""
    return unfold(dy, kernel_size, dilation, padding, stride)
