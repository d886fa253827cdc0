"""Sliding windows: the geometry that convolution, pooling and unfolding share.

A window of k taps that lie d pixels apart covers k + (k-1)(d-1) pixels (DeepLab, section 3.1:
"atrous" convolution puts d-1 zeros between the taps of a filter); d = 1 is the ordinary window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]  # ((top, bottom), (left, right))


def effective_size(kernel: int, dilation: int) -> int:
    """Pixels that a window of `kernel` taps covers: k + (k-1)(d-1)."""
    return kernel + (kernel - 1) * (dilation - 1)


def output_size(size: int, kernel: int, stride: int, padding: Pair, dilation: int = 1) -> int:
    """Places where a window fits: floor((size + before + after - effective) / stride) + 1."""
    return (size + sum(padding) - effective_size(kernel, dilation)) // stride + 1


def output_shape(
    size: Sequence[int], kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> Pair:
    """`output_size` for rows and columns: (H, W) -> (P, Q)."""
    rows, columns = map(output_size, size, kernel, stride, padding, dilation)
    return rows, columns


def transposed_size(
    size: int, kernel: int, stride: int, padding: int, output_padding: int, dilation: int
) -> int:
    """The size that a strided window maps to `size`: (size-1) s - 2 p + effective + extra."""
    return (size - 1) * stride - 2 * padding + effective_size(kernel, dilation) + output_padding


def pad_planes(x: np.ndarray, padding: Padding, value: float = 0.0) -> np.ndarray:
    """x (N, C, H, W) with `value` around every plane: (N, C, t+H+b, l+W+r)."""
    return np.pad(x, ((0, 0), (0, 0), *padding), constant_values=value)


def crop_planes(x: np.ndarray, padding: Padding, size: Sequence[int]) -> np.ndarray:
    """The (N, C, H, W) inside the padding, H and W given by `size`: undoes `pad_planes`."""
    (top, _), (left, _) = padding
    height, width = size
    return x[:, :, top : top + height, left : left + width]


def tap(x: np.ndarray, i: int, j: int, out: Sequence[int], stride: Pair, dilation: Pair):
    """The pixels under tap (i, j) of every window, as a view of the padded x.

    tap[n, c, p, q] = x[n, c, p*stride + i*dilation, q*stride + j*dilation], shape (N, C, P, Q).
    """
    (rows, columns), (row, column) = out, (i * dilation[0], j * dilation[1])
    return x[
        :,
        :,
        row : row + rows * stride[0] : stride[0],
        column : column + columns * stride[1] : stride[1],
    ]
