"""Resizing. Definitions: ``ops/resize.py``, which also computes the source positions.

Forward, one thread per output pixel reads two rows and two columns. Backward, one thread per input
pixel gathers. The output pixels that read an input pixel are neighbours, because source positions
increase, so a range along each axis is enough:

    output   0   1   2   3   4   5   6   7   8         upsampling by 4
    input    0 . . . . . . . 1 . . . . . . . 2
                     |<- range of 1 ->|

The tables of positions are made on the host, once per shape and stream, and kept on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numba import cuda

from minideeplab.backends.cuda.device import place, to_device, xp
from minideeplab.backends.cuda.launch import kernel
from minideeplab.ops.resize import Scale, linear_source, nearest_source
from minideeplab.ops.window import Pair


@kernel("resize.cu")
def nearest(x, y, from_row, from_col, size, height, width, rows, cols):
    """y[p, q] = x[from_row[p], from_col[q]] in every plane."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        q, p, plane = e % cols, e // cols % rows, e // cols // rows
        y[e] = x[(plane * height + from_row[p]) * width + from_col[q]]


@kernel("resize.cu")
def nearest_gradient(dy, dx, row_range, col_range, size, height, width, rows, cols):
    """dx of a pixel: the sum of dy over its copies."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        w, h, plane = e % width, e // width % height, e // width // height
        total = dy.dtype.type(0)
        for p in range(row_range[h], row_range[height + h]):
            for q in range(col_range[w], col_range[width + w]):
                total += dy[(plane * rows + p) * cols + q]
        dx[e] = total


@kernel("resize.cu")
def bilinear(x, y, low_row, high_row, down, low_col, high_col, across,
             size, height, width, rows, cols):  # fmt: skip
    """Interpolate between two rows with weight ``down``, then two columns with ``across``."""
    one = x.dtype.type(1)
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        q, p, plane = e % cols, e // cols % rows, e // cols // rows
        top, bottom = (plane * height + low_row[p]) * width, (plane * height + high_row[p]) * width
        a, b = low_col[q], high_col[q]
        left = x[top + a] * (one - down[p]) + x[bottom + a] * down[p]
        right = x[top + b] * (one - down[p]) + x[bottom + b] * down[p]
        y[e] = left * (one - across[q]) + right * across[q]


@kernel("resize.cu")
def bilinear_gradient(dy, dx, low_row, high_row, down, low_col, high_col, across,
                      row_range, col_range, size, height, width, rows, cols):  # fmt: skip
    """dx of a pixel: the weighted sum of dy over the output pixels that read it."""
    one, zero = dy.dtype.type(1), dy.dtype.type(0)
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        w, h, plane = e % width, e // width % height, e // width // height
        total = zero
        for p in range(row_range[h], row_range[height + h]):
            line = zero
            for q in range(col_range[w], col_range[width + w]):
                value = dy[(plane * rows + p) * cols + q]
                if low_col[q] == w:
                    line += value * (one - across[q])
                if high_col[q] == w:
                    line += value * across[q]
            if low_row[p] == h:
                total += line * (one - down[p])
            if high_row[p] == h:
                total += line * down[p]
        dx[e] = total


def _ranges(low: np.ndarray, high: np.ndarray, size: int) -> np.ndarray:
    """First and end of the output range that reads each of ``size`` pixels, (2 size,)."""
    pixels = np.arange(size)
    return np.concatenate([np.searchsorted(high, pixels), np.searchsorted(low, pixels, "right")])


@lru_cache(maxsize=256)
def _nearest_tables(
    size: int, out: int, scale: float | None, where: tuple[int, int]
) -> tuple[Any, Any]:
    """(source (out,), ranges (2 size,)) along an axis; ``where`` is the current `place`."""
    source = nearest_source(size, out, scale)
    return to_device(source), to_device(_ranges(source, source, size))


@lru_cache(maxsize=256)
def _linear_tables(
    size: int, out: int, corners: bool, scale: float | None, dtype: np.dtype, where: tuple[int, int]
) -> tuple[Any, Any, Any, Any]:
    """(low, high, fraction, each (out,), and ranges (2 size,)) along an axis."""
    low, high, fraction = linear_source(size, out, corners, scale, dtype)
    return tuple(map(to_device, (low, high, fraction, _ranges(low, high, size))))


def interpolate(x: Any, size: Pair, mode: str, align_corners: bool, scale: Scale) -> Any:
    """Resize x (N, C, H, W) to (N, C, *size); mode "nearest" or "bilinear"."""
    y = xp.empty((*x.shape[:2], *size), x.dtype)
    sizes = (y.size, *x.shape[2:], *size)
    if mode == "nearest":
        rows, cols = map(_nearest_tables, x.shape[2:], size, scale, (place(),) * 2)
        nearest(y.size, x, y, rows[0], cols[0], *sizes)
    else:
        rows, cols = _both_axes(x.shape[2:], size, align_corners, scale, x.dtype)
        bilinear(y.size, x, y, *rows[:3], *cols[:3], *sizes)
    return y


def interpolate_backward(
    dy: Any, x_shape: Sequence[int], mode: str, align_corners: bool, scale: Scale
) -> Any:
    """dx (N, C, H, W): the weighted sum of dy over the outputs that read each pixel."""
    dx, out = xp.empty(tuple(x_shape), dy.dtype), dy.shape[2:]
    sizes = (dx.size, *x_shape[2:], *out)
    if mode == "nearest":
        rows, cols = map(_nearest_tables, x_shape[2:], out, scale, (place(),) * 2)
        nearest_gradient(dx.size, dy, dx, rows[1], cols[1], *sizes)
    else:
        rows, cols = _both_axes(x_shape[2:], out, align_corners, scale, dy.dtype)
        bilinear_gradient(dx.size, dy, dx, *rows[:3], *cols[:3], rows[3], cols[3], *sizes)
    return dx


def _both_axes(
    size: Sequence[int], out: Pair, corners: bool, scale: Scale, dtype: np.dtype
) -> list[tuple[Any, Any, Any, Any]]:
    here = place()
    return [_linear_tables(size[a], out[a], corners, scale[a], dtype, here) for a in (0, 1)]
