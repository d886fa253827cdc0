"""Winograd's transforms of whole tiles: a 1-D transform of the columns, then of the rows.

A tile is m x m outputs and the n x n inputs that they see, n = m + 2. Its transform is n * n rows
of a matrix of channels, one for each point, ``stride`` rows apart: all tiles of a point together
are then one operand of a matrix product. A table names the row of the picture's matrix
(N * H * W, C) where each pixel of the tile is found, -1 outside: padding, edges and dilation cost
no copy.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS, load, store
from minideeplab.backends.numba_cpu.convolution.transforms import (
    cotangent_1d,
    filter_1d,
    filter_gradient_1d,
    inlined,
    input_1d,
    output_1d,
)
from minideeplab.backends.numba_cpu.jit import jit


@inlined
def find(rows, side, image, top, left, dilation, size):
    """Fill ``rows`` with where the ``side`` x ``side`` pixels from (top, left) are, -1 outside."""
    for i in range(side):
        h = top + i * dilation[0]
        for j in range(side):
            w = left + j * dilation[1]
            inside = h >= 0 and h < size[0] and w >= 0 and w < size[1]
            rows[i * side + j] = (image * size[0] + h) * size[1] + w if inside else -1


@jit
def input_tiles(x, v, n, first, last, origin, stride, tops, lefts, start, dilation, size):
    """Transform the inputs of tiles [first, last): B^T d B, from x (N * H * W, C) to ``v``.

    ``v`` holds the tiles from ``origin`` on.
    """
    rows, order = np.empty(n * n, np.int64), np.arange(n * n)
    work = np.empty((n * n, CHANNELS), x.dtype)
    for tile in range(first, last):
        line, right = divmod(tile, lefts.size)
        image, down = divmod(line, tops.size)
        find(rows, n, image, tops[down] - start[0], lefts[right] - start[1], dilation, size)
        for lane in range(0, x.shape[1], CHANNELS):
            for j in range(n):
                input_1d(n, x, rows, j, n, lane, work, j, n, 0)
            for i in range(n):
                place = i * n * stride + tile - origin
                input_1d(n, work, order, i * n, 1, 0, v, place, stride, lane)


@jit
def cotangent_tiles(dy, v, n, first, last, origin, stride, tops, lefts, dilation, out):
    """Transform the cotangents of tiles [first, last): A dy A^T, from (N * P * Q, K) to ``v``."""
    m = n - 2
    rows, order = np.empty(m * m, np.int64), np.arange(n * n)
    work = np.empty((n * m, CHANNELS), dy.dtype)
    for tile in range(first, last):
        line, right = divmod(tile, lefts.size)
        image, down = divmod(line, tops.size)
        find(rows, m, image, tops[down], lefts[right], dilation, out)
        for lane in range(0, dy.shape[1], CHANNELS):
            for j in range(m):
                cotangent_1d(n, dy, rows, j, m, lane, work, j, m, 0)
            for i in range(n):
                place = i * n * stride + tile - origin
                cotangent_1d(n, work, order, i * m, 1, 0, v, place, stride, lane)


@jit
def output_tiles(v, y, bias, n, first, last, origin, stride, tops, lefts, dilation, out):
    """Write the outputs of tiles [first, last) to y (N * P * Q, K): A^T v A + bias.

    Return the sum of 0 * y, which is NaN if any output is not finite.
    """
    m = n - 2
    rows, order = np.empty(m * m, np.int64), np.arange(n * n)
    points = np.empty(n * n, np.int64)
    work, tile_out = np.empty((n * m, CHANNELS), y.dtype), np.empty((m * m, CHANNELS), y.dtype)
    check = np.zeros((1, CHANNELS), y.dtype)
    for tile in range(first, last):
        line, right = divmod(tile, lefts.size)
        image, down = divmod(line, tops.size)
        find(rows, m, image, tops[down], lefts[right], dilation, out)
        for k in range(n * n):
            points[k] = k * stride + tile - origin
        for lane in range(0, y.shape[1], CHANNELS):
            shift, finite = load(bias, 0, lane), load(check, 0, 0)
            for j in range(n):
                output_1d(n, v, points, j, n, lane, work, j, n, 0)
            for i in range(m):
                output_1d(n, work, order, i * n, 1, 0, tile_out, i * m, 1, 0)
            for k in range(m * m):
                if rows[k] >= 0:
                    value = load(tile_out, k, 0) + shift
                    finite = finite + value * 0.0
                    store(y, rows[k], lane, value)
            store(check, 0, 0, finite)
    return check.sum()


@jit
def filter_points(filters, u, n, first, last, stride):
    """Transform the filters (C, 9, K) of channels [first, last) to ``u``: G w G^T."""
    order = np.arange(n * 3)
    work = np.empty((n * 3, CHANNELS), u.dtype)
    for c in range(first, last):
        for lane in range(0, u.shape[1], CHANNELS):
            for j in range(3):
                filter_1d(n, filters[c], order, j, 3, lane, work, j, 3, 0)
            for i in range(n):
                filter_1d(n, work, order, i * 3, 1, 0, u, i * n * stride + c, stride, lane)


@jit
def filter_gradients(du, dw, n, first, last):
    """Return to the taps of channels [first, last): G^T du G, from (n * n, C, K) to (C, 9, K)."""
    points, order = np.empty(n * n, np.int64), np.arange(n * 3)
    channels = du.shape[1]
    flat = du.reshape(n * n * channels, du.shape[2])
    work = np.empty((n * 3, CHANNELS), du.dtype)
    for c in range(first, last):
        for k in range(n * n):
            points[k] = k * channels + c
        for lane in range(0, du.shape[2], CHANNELS):
            for j in range(n):
                filter_gradient_1d(n, flat, points, j, n, lane, work, j, n, 0)
            for i in range(3):
                filter_gradient_1d(n, work, order, i * n, 1, 0, dw[c], i * 3, 1, lane)
