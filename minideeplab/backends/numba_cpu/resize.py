"""Bilinear interpolation, channels last: four neighbours and their weights, whole pixels."""

from __future__ import annotations

import numpy as np

from minideeplab import ops
from minideeplab.backends.numba_cpu.layout import maps, pixels
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_kernel, parallel_range
from minideeplab.ops.resize import Scale, linear_source
from minideeplab.ops.window import Pair


def interpolate(
    x: np.ndarray, size: Pair, mode: str, align_corners: bool, scale: Scale
) -> np.ndarray:
    """Resize x (N, C, H, W) to (N, C, *size); nearest is a gather and needs no kernel."""
    if mode != "bilinear":
        return ops.interpolate(x, size, mode, align_corners, scale)
    rows, columns = _axes(x.shape, size, align_corners, scale, x.dtype)
    x, y = pixels(x), np.empty((x.shape[0], *size, x.shape[1]), x.dtype)
    parallel_range(_blend, len(y) * size[0], x, y, rows, columns, work=size[1] * x.shape[3])
    return maps(y)


def interpolate_backward(
    dy: np.ndarray, x_shape: tuple[int, ...], mode: str, align_corners: bool, scale: Scale
) -> np.ndarray:
    """Return dx (N, C, H, W): each cotangent is distributed to its two or four neighbours."""
    if mode != "bilinear":
        return ops.interpolate_backward(dy, x_shape, mode, align_corners, scale)
    count, channels, height, width = x_shape
    rows, columns = _axes(x_shape, dy.shape[2:], align_corners, scale, dy.dtype)
    dy, dx = pixels(dy), np.zeros((count, height, width, channels), dy.dtype)
    work = dy.size // max(1, count * height)
    parallel_range(_collect, count * height, dy, dx, rows, columns, work=work)
    return maps(dx)


def _axes(x_shape, size, align_corners, scale, dtype):
    """Return (low, high, weight of low, weight of high) for the outputs of each axis."""
    sources = (
        linear_source(x_shape[2 + a], size[a], align_corners, scale[a], np.dtype(dtype))
        for a in (0, 1)
    )
    return tuple((low, high, 1 - fraction, fraction) for low, high, fraction in sources)


@parallel_kernel
def _blend(first, last, thread_id, x, y, rows, columns):
    """Fill rows [first, last) of the N * P rows of outputs."""
    top, bottom, upper_part, lower_part = rows
    left, right, left_part, right_part = columns
    for line in range(first, last):
        n, p = divmod(line, y.shape[1])
        upper, lower = upper_part[p], lower_part[p]
        for q in range(y.shape[2]):
            a, b = x[n, top[p], left[q]], x[n, top[p], right[q]]
            c, d = x[n, bottom[p], left[q]], x[n, bottom[p], right[q]]
            target = y[n, p, q]
            for k in range(target.size):
                target[k] = (a[k] * upper + c[k] * lower) * left_part[q] + (
                    b[k] * upper + d[k] * lower
                ) * right_part[q]


@parallel_kernel
def _collect(first, last, thread_id, dy, dx, rows, columns):
    """Fill rows [first, last) of the N * H rows of dx from the output rows that read them."""
    top, bottom, upper_part, lower_part = rows
    left, right, left_part, right_part = columns
    for line in range(first, last):
        n, h = divmod(line, dx.shape[1])
        for p in range(dy.shape[1]):
            if top[p] != h and bottom[p] != h:
                continue
            part = (upper_part[p] if top[p] == h else 0 * upper_part[p]) + (
                lower_part[p] if bottom[p] == h else 0 * lower_part[p]
            )
            for q in range(dy.shape[2]):
                share = dy[n, p, q]
                to_left, to_right = dx[n, h, left[q]], dx[n, h, right[q]]
                for k in range(share.size):
                    to_left[k] += share[k] * part * left_part[q]
                for k in range(share.size):
                    to_right[k] += share[k] * part * right_part[q]
