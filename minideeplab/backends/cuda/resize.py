"""Resizing. Definitions: ``ops/resize.py``, which also computes where each pixel is read.

Forward, an output pixel a thread: it reads two rows and two columns. Backward, the adjoint is
gathered, an input pixel a thread. The output pixels that read an input pixel are neighbours, since
positions only grow, so a range along each axis is all that it must look at:

    output   0   1   2   3   4   5   6   7   8         upsampling by 4
    input    0 . . . . . . . 1 . . . . . . . 2
                     |<- range of 1 ->|

The tables of positions are made on the host, once for each shape and stream, and stay on the
device.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numba import cuda

from minideeplab.backends.cuda.device import flat, place, to_device, xp
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
    """Between two rows first, by the share ``down``, then between two columns, by ``across``."""
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
    """dx of a pixel: dy of all that read it, with the weights with which they did."""
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
    """For each of ``size`` pixels, where its readers begin, and then where they end, (2 size,)."""
    pixels = np.arange(size)
    return np.concatenate([np.searchsorted(high, pixels), np.searchsorted(low, pixels, "right")])


@lru_cache(maxsize=256)
def _nearest_tables(
    size: int, out: int, scale: float | None, where: tuple[int, int]
) -> tuple[Any, Any]:
    """(source (out,), ranges (2 size,)) along an axis, made at ``where``, the present `place`."""
    source = nearest_source(size, out, scale)
    return to_device(source), to_device(_ranges(source, source, size))


@lru_cache(maxsize=256)
def _linear_tables(
    size: int, out: int, corners: bool, scale: float | None, dtype: np.dtype, where: tuple[int, int]
) -> tuple[Any, Any, Any, Any]:
    """(low, high, fraction, each (out,), and ranges (2 size,)) along an axis: as above."""
    low, high, fraction = linear_source(size, out, corners, scale, dtype)
    return tuple(map(to_device, (low, high, fraction, _ranges(low, high, size))))


def interpolate(x: Any, size: Pair, mode: str, align_corners: bool, scale: Scale) -> Any:
    """Resize x (N, C, H, W) to (N, C, *size); mode "nearest" or "bilinear"."""
    y = xp.empty((*x.shape[:2], *size), x.dtype)
    sizes = (y.size, *x.shape[2:], *size)
    if mode == "nearest":
        rows, cols = map(_nearest_tables, x.shape[2:], size, scale, (place(),) * 2)
        nearest(y.size, flat(x), y.reshape(-1), rows[0], cols[0], *sizes)
    else:
        rows, cols = _both_axes(x.shape[2:], size, align_corners, scale, x.dtype)
        bilinear(y.size, flat(x), y.reshape(-1), *rows[:3], *cols[:3], *sizes)
    return y


def interpolate_backward(
    dy: Any, x_shape: Sequence[int], mode: str, align_corners: bool, scale: Scale
) -> Any:
    """dx (N, C, H, W): every input pixel collects dy from where it was read, with its weight."""
    dx, out = xp.empty(tuple(x_shape), dy.dtype), dy.shape[2:]
    sizes = (dx.size, *x_shape[2:], *out)
    if mode == "nearest":
        rows, cols = map(_nearest_tables, x_shape[2:], out, scale, (place(),) * 2)
        nearest_gradient(dx.size, flat(dy), dx.reshape(-1), rows[1], cols[1], *sizes)
    else:
        rows, cols = _both_axes(x_shape[2:], out, align_corners, scale, dy.dtype)
        tables = (*rows[:3], *cols[:3], rows[3], cols[3])
        bilinear_gradient(dx.size, flat(dy), dx.reshape(-1), *tables, *sizes)
    return dx


def _both_axes(
    size: Sequence[int], out: Pair, corners: bool, scale: Scale, dtype: np.dtype
) -> list[tuple[Any, Any, Any, Any]]:
    here = place()
    return [_linear_tables(size[a], out[a], corners, scale[a], dtype, here) for a in (0, 1)]
