"""Resizing by nearest neighbour and bilinear interpolation (DeepLab, section 3.1: scores x8).

Both work on one axis after the other. Along an axis, output position p reads the input at

    align_corners:  p (size-1) / (out-1)          the corner pixels' centres coincide
    otherwise:      (p + 1/2) / scale - 1/2       the corner pixels' outer edges coincide
    nearest:        floor(p / scale)

with scale = out/size, or the scale factor that the caller asked for. DeepLab aligns corners: a
network of stride 8 maps 8k+1 pixels to k+1 scores, and back. Coordinates are kept in the precision
of x, and nearest's are rounded to float32, as torch does: it decides which neighbour is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minideeplab.ops.window import Pair

Scale = tuple[float | None, float | None]


def interpolate(
    x: np.ndarray, size: Pair, mode: str, align_corners: bool, scale: Scale
) -> np.ndarray:
    """Resize x (N, C, H, W) to (N, C, *size); mode "nearest" or "bilinear"."""
    for axis in (2, 3):
        out, factor = size[axis - 2], scale[axis - 2]
        if mode == "nearest":
            x = np.take(x, nearest_source(x.shape[axis], out, factor), axis)
        else:
            low, high, fraction = linear_source(x.shape[axis], out, align_corners, factor, x.dtype)
            fraction = _along(axis, fraction)
            with np.errstate(invalid="ignore"):  # inf * 0 is NaN, as in torch
                x = np.take(x, low, axis) * (1 - fraction) + np.take(x, high, axis) * fraction
    return x


def interpolate_backward(
    dy: np.ndarray, x_shape: Sequence[int], mode: str, align_corners: bool, scale: Scale
) -> np.ndarray:
    """dx (N, C, H, W): every input pixel collects dy from where it was read, with its weight."""
    for axis in (3, 2):
        size, out, factor = x_shape[axis], dy.shape[axis], scale[axis - 2]
        dx = np.zeros((*dy.shape[:axis], size, *dy.shape[axis + 1 :]), dy.dtype)
        if mode == "nearest":
            _add_along(axis, dx, nearest_source(size, out, factor), dy)
        else:
            low, high, fraction = linear_source(size, out, align_corners, factor, dy.dtype)
            fraction = _along(axis, fraction)
            _add_along(axis, dx, low, dy * (1 - fraction))
            _add_along(axis, dx, high, dy * fraction)
        dy = dx
    return dy


def nearest_source(size: int, out: int, scale: float | None) -> np.ndarray:
    """Which of `size` pixels each of `out` pixels copies, int64 (out,)."""
    if out in (size, 2 * size):  # whatever the scale factor
        return np.arange(out) // (out // size)
    step = np.float32(1 / scale if scale else size / out)
    source = np.floor(np.arange(out, dtype=np.float32) * step).astype(np.int64)
    return np.minimum(source, size - 1)


def linear_source(
    size: int, out: int, align_corners: bool, scale: float | None, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two pixels that each output pixel lies between, and how far it is from the first.

    Returns (low, high, fraction), each (out,): output = low (1 - fraction) + high fraction.
    """
    position = np.arange(out)
    if size == out:  # a copy: no neighbour may leak in, not even as 0 * NaN
        return position, position, np.zeros(out, dtype)
    if align_corners:
        step = dtype.type(size - 1) / dtype.type(max(out - 1, 1))
        source = position * float(step)
    else:
        step = dtype.type(1 / scale) if scale else dtype.type(size) / dtype.type(out)
        source = np.maximum((position + 0.5) * float(step) - 0.5, 0)
    source = source.astype(dtype)  # rounded once, from float64
    low = np.minimum(np.floor(source).astype(np.int64), size - 1)
    high = np.minimum(low + 1, size - 1)
    return low, high, np.clip(source - low.astype(dtype), 0, 1)


def _along(axis: int, values: np.ndarray) -> np.ndarray:
    """(out,) values shaped to multiply axis 2 or 3 of an (N, C, H, W) array."""
    return values[:, None] if axis == 2 else values


def _add_along(axis: int, total: np.ndarray, index: np.ndarray, values: np.ndarray) -> None:
    """total[..., index[p], ...] += values[..., p, ...] along the axis, repeated indices too."""
    np.add.at(np.moveaxis(total, axis, 0), index, np.moveaxis(values, axis, 0))
