"""Winograd's transforms of whole tiles: a 1-D transform of the columns, then of the rows.

A tile is m x m outputs and the n x n inputs that they see, n = m + 2. Its transform is n * n
points, each with a vector for every sixteen channels, which goes to the place that ``panels.py``
names. A table names the row of the picture's matrix (N * H * W, C) where each pixel of the tile is
found, -1 outside: padding, edges and dilation cost no copy.

``span`` is (first, last, origin): tiles [first, last) are transformed, and the panels begin with
tile ``origin``. Panels are passed as ``Panels.layout``. ``room`` holds two tiles: one between the
transforms of its columns and of its rows, and one of outputs.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.simd import CHANNELS, load, store
from minideeplab.backends.numba_cpu.convolution.transforms import (
    cotangent_1d,
    input_1d,
    output_1d,
)
from minideeplab.backends.numba_cpu.runtime.jit import inlined, inner
from minideeplab.backends.numba_cpu.simd import maximum


@inlined
def find(rows, side, image, top, left, dilation, size):
    """Fill ``rows`` with where the ``side`` x ``side`` pixels from (top, left) are, -1 outside."""
    for i in range(side):
        h = top + i * dilation[0]
        for j in range(side):
            w = left + j * dilation[1]
            inside = h >= 0 and h < size[0] and w >= 0 and w < size[1]
            rows[i * side + j] = (image * size[0] + h) * size[1] + w if inside else -1


@inner
def input_tiles(x, v, room, n, span, inside):
    """Transform inputs: B^T d B, from x (N * H * W, C) to the panels ``v``."""
    tops, lefts, start, dilation, size = inside
    flat, panels, stride, hop = v
    vectors, rows = flat.reshape(-1, CHANNELS), np.empty(n * n, np.int64)
    for tile in range(span[0], span[1]):
        line, right = divmod(tile, lefts.size)
        image, down = divmod(line, tops.size)
        find(rows, n, image, tops[down] - start[0], lefts[right] - start[1], dilation, size)
        for panel in range(panels):
            for j in range(n):
                input_1d(n, x, rows, j, n, panel * CHANNELS, room, j, n, 0)
            place = panel * stride + tile - span[2]
            for i in range(n):
                input_1d(n, room, 0, i * n, 1, 0, vectors, place + i * n * hop, hop, 0)


@inner
def cotangent_tiles(dy, e, room, n, span, outside):
    """Transform cotangents: A dy A^T, from dy (N * P * Q, K) to the panels ``e``."""
    tops, lefts, dilation, out = outside
    flat, panels, stride, hop = e
    vectors, m = flat.reshape(-1, CHANNELS), n - 2
    rows = np.empty(m * m, np.int64)
    for tile in range(span[0], span[1]):
        line, right = divmod(tile, lefts.size)
        image, down = divmod(line, tops.size)
        find(rows, m, image, tops[down], lefts[right], dilation, out)
        for panel in range(panels):
            for j in range(m):
                cotangent_1d(n, dy, rows, j, m, panel * CHANNELS, room, j, m, 0)
            place = panel * stride + tile - span[2]
            for i in range(n):
                cotangent_1d(n, room, 0, i * m, 1, 0, vectors, place + i * n * hop, hop, 0)


@inner
def output_tiles(p, y, room, finish, n, span, outside, filters):
    """Write outputs: A^T p A, finished, from the panels ``p`` to y (N * P * Q, K).

    ``filters`` = (first, last) are the panels of y that are written; p begins with the first.
    Return the sum of 0 * y, which is NaN if any output is not finite.
    """
    tops, lefts, dilation, out = outside
    flat, _, stride, hop = p
    gain, shift, least = finish
    vectors, results, m = flat.reshape(-1, CHANNELS), room[n * n :], n - 2
    rows, check = np.empty(m * m, np.int64), np.zeros((1, CHANNELS), y.dtype)
    for tile in range(span[0], span[1]):
        line, right = divmod(tile, lefts.size)
        image, down = divmod(line, tops.size)
        find(rows, m, image, tops[down], lefts[right], dilation, out)
        for panel in range(*filters):
            lane, finite = panel * CHANNELS, load(check, 0, 0)
            factor, summand = load(gain, 0, lane), load(shift, 0, lane)
            place = (panel - filters[0]) * stride + tile - span[2]
            for j in range(n):
                output_1d(n, vectors, place, j * hop, n * hop, 0, room, j, n, 0)
            for i in range(m):
                output_1d(n, room, 0, i * n, 1, 0, results, i * m, 1, 0)
            for k in range(m * m):
                if rows[k] >= 0:
                    value = load(results, k, 0) * factor + summand
                    finite = finite + value * 0.0
                    store(y, rows[k], lane, maximum(value, least))
            store(check, 0, 0, finite)
    return check.sum()
