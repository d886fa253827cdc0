"""Pooling: the maximum or the mean of a window (Caffe's and torch's rules; DeepLab uses 3x3).

Shapes: x (N, C, H, W) -> y (N, C, P, Q). With ceil_mode the last window may stick out at the bottom
or right, if it starts inside the image or its top/left padding:
P = ceil((H + 2 pad - effective) / s) + 1, less one if (P-1) s >= H + pad.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minideeplab.ops.window import Padding, Pair, crop_planes, effective_size, pad_planes, tap


def pooled_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """Number of windows along an axis of `size` pixels."""
    room = size + 2 * padding - effective_size(kernel, dilation)
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1  # rounded up
    return count - 1 if (count - 1) * stride >= size + padding else count


def _geometry(
    size: Sequence[int],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> tuple[Pair, Padding]:
    """(P, Q), and the padding under which every window lies within the padded image."""
    out, sides = [], []
    for axis in range(2):
        window = kernel_size[axis], stride[axis], padding[axis], dilation[axis]
        count = pooled_size(size[axis], *window, ceil_mode)
        end = (count - 1) * stride[axis] + effective_size(kernel_size[axis], dilation[axis])
        out.append(count)
        sides.append((padding[axis], max(0, end - size[axis] - padding[axis])))
    return (out[0], out[1]), (sides[0], sides[1])


def max_pool2d(
    x: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Maximum of each window, and where it was: an index into the H*W pixels of its plane.

    The first maximum wins a tie; a NaN wins over any number (the last NaN, if there are several).
    Padding is -inf. A window with no pixel in it (dilated, in a tiny image) has index -1.
    """
    height, width = x.shape[2:]
    out, sides = _geometry((height, width), kernel_size, stride, padding, dilation, ceil_mode)
    padded = pad_planes(x, sides, -np.inf)
    y = np.full((*x.shape[:2], *out), -np.inf, x.dtype)
    indices = np.full(y.shape, -1, np.int64)
    for i, j in np.ndindex(kernel_size):
        rows = np.arange(out[0])[:, None] * stride[0] + i * dilation[0] - padding[0]
        columns = np.arange(out[1]) * stride[1] + j * dilation[1] - padding[1]
        inside = (0 <= rows) & (rows < height) & (0 <= columns) & (columns < width)
        value = tap(padded, i, j, out, stride, dilation)
        wins = inside & ((value > y) | np.isnan(value) | (indices < 0))
        y = np.where(wins, value, y)
        indices = np.where(wins, rows * width + columns, indices)
    return y, indices


def max_pool2d_backward(dy: np.ndarray, indices: np.ndarray, x_shape: Sequence[int]) -> np.ndarray:
    """dx (N, C, H, W): every winner gets the dy of all the windows that it won."""
    n, c, height, width = x_shape
    dx = np.zeros((n * c, height * width), dy.dtype)
    planes = np.arange(n * c).reshape(n, c, 1, 1)
    won = indices >= 0
    np.add.at(dx, (np.broadcast_to(planes, won.shape)[won], indices[won]), dy[won])
    return dx.reshape(n, c, height, width)


def max_pool2d_without_indices(x: np.ndarray, *window: Any) -> np.ndarray:
    """The maxima of `max_pool2d` alone: networks do not use the indices."""
    return max_pool2d(x, *window)[0]


def max_pool2d_without_indices_backward(
    dy: np.ndarray, x: np.ndarray, y: np.ndarray, *window: Any
) -> np.ndarray:
    """dx (N, C, H, W): `max_pool2d_backward` with the indices computed again from x.

    y, the output, is for backends that find the maxima by comparison with it.
    """
    return max_pool2d_backward(dy, max_pool2d(x, *window)[1], x.shape)


def _window_sizes(
    size: int, count: int, kernel: int, stride: int, padding: int, include_pad: bool
) -> np.ndarray:
    """Pixels that each of `count` windows averages over along one axis, (count,).

    A window that sticks out beyond the padding (ceil_mode) is cut there in either case.
    """
    start = np.arange(count) * stride - padding
    end = np.minimum(start + kernel, size + padding)
    return end - start if include_pad else np.minimum(end, size) - np.maximum(start, 0)


def divisor(
    size: Sequence[int],
    out: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray | int:
    """What the sum of each window is divided by, (P, Q) or one number for all."""
    if divisor_override is not None:
        return divisor_override
    rows, columns = (
        _window_sizes(*axis, count_include_pad)
        for axis in zip(size, out, kernel_size, stride, padding, strict=True)
    )
    return rows[:, None] * columns


def avg_pool2d(
    x: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """Sum of each window divided by its size, with or without padding, or by the override."""
    size = x.shape[2:]
    out, sides = _geometry(size, kernel_size, stride, padding, (1, 1), ceil_mode)
    x = pad_planes(x, sides)
    y = np.zeros((*x.shape[:2], *out), x.dtype)
    for i, j in np.ndindex(kernel_size):
        y += tap(x, i, j, out, stride, (1, 1))
    count = divisor(size, out, kernel_size, stride, padding, count_include_pad, divisor_override)
    return y / np.asarray(count, y.dtype)


def avg_pool2d_backward(
    dy: np.ndarray,
    x_shape: Sequence[int],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """dx (N, C, H, W): every pixel of a window gets the same share of its dy."""
    size = x_shape[2:]
    out, sides = _geometry(size, kernel_size, stride, padding, (1, 1), ceil_mode)
    count = divisor(size, out, kernel_size, stride, padding, count_include_pad, divisor_override)
    share = dy / np.asarray(count, dy.dtype)
    dx = pad_planes(np.zeros(x_shape, dy.dtype), sides)
    for i, j in np.ndindex(kernel_size):
        image = tap(dx, i, j, out, stride, (1, 1))  # a view: adding to it adds to dx
        image += share
    return crop_planes(dx, sides, size)


def _cells(size: Sequence[int], out: Pair) -> Iterator[tuple[int, int, slice, slice]]:
    """Cell (p, q) of the output and the rows and columns floor(p H/P) .. ceil((p+1) H/P)."""
    (height, width), (rows, columns) = size, out
    for p, q in np.ndindex(out):
        vertical = slice(p * height // rows, -(-(p + 1) * height // rows))
        horizontal = slice(q * width // columns, -(-(q + 1) * width // columns))
        yield p, q, vertical, horizontal


def adaptive_avg_pool2d(x: np.ndarray, output_size: Pair) -> np.ndarray:
    """Mean over the cells of a P x Q grid laid on x; cells overlap where H is no multiple of P."""
    y = np.empty((*x.shape[:2], *output_size), x.dtype)
    for p, q, rows, columns in _cells(x.shape[2:], output_size):
        y[:, :, p, q] = x[:, :, rows, columns].mean(axis=(2, 3))
    return y


def adaptive_avg_pool2d_backward(dy: np.ndarray, x_shape: Sequence[int]) -> np.ndarray:
    """dx (N, C, H, W): every pixel of a cell gets dy / (pixels in the cell)."""
    dx = np.zeros(x_shape, dy.dtype)
    for p, q, rows, columns in _cells(x_shape[2:], dy.shape[2:]):
        cell = dx[:, :, rows, columns]  # a view: adding to it adds to dx
        cell += dy[:, :, p, q, None, None] / (cell.shape[2] * cell.shape[3])
    return dx
