"""Winograd's transforms of whole tiles: a 1-D transform of the columns, then of the rows.

A tile is m x m outputs and the n x n inputs that they see, n = m + 2. Its transform is n * n
points, each with a vector for every sixteen channels, in the memory order of ``packing.py``.
Pixels of a tile are found by index: padding, edges and dilation cost no copy.

``span`` is (first, last, origin): tiles [first, last) are transformed, and packed memory begins
with tile ``origin``. ``work`` is scratch for two tiles: one between the transforms of its columns
and of its rows, and one of outputs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minideeplab.backends.numba_cpu.convolution.transforms import (
    cotangent_1d,
    input_1d,
    output_1d,
)
from minideeplab.backends.numba_cpu.runtime.jit import inlined, inner
from minideeplab.backends.numba_cpu.simd import CHANNELS, load_channels, maximum, store


class TiledImages(NamedTuple):
    """Pixels (N * H * W, C) of images, and where the pixels of a tile are in them."""

    pixels: np.ndarray
    tops: np.ndarray  # the first row of each row of tiles
    lefts: np.ndarray
    start: tuple[int, int]  # is subtracted from them: the padding
    dilation: tuple[int, int]
    size: tuple[int, int]  # (H, W)


@inlined
def _find(rows, side, tile, images):
    """Fill ``rows`` with the rows of the ``side`` x ``side`` pixels of a tile, -1 outside."""
    line, right = divmod(tile, images.lefts.size)
    image, down = divmod(line, images.tops.size)
    (height, width), dilation = images.size, images.dilation
    top, left = images.tops[down] - images.start[0], images.lefts[right] - images.start[1]
    for i in range(side):
        h = top + i * dilation[0]
        for j in range(side):
            w = left + j * dilation[1]
            inside = h >= 0 and h < height and w >= 0 and w < width
            rows[i * side + j] = (image * height + h) * width + w if inside else -1


@inner
def input_tiles(x, v, work, n, span):
    """Transform inputs: B^T d B, from tiled images to packed ``v``."""
    vectors, rows = v.data.reshape(-1, CHANNELS), np.empty(n * n, np.int64)
    for tile in range(span[0], span[1]):
        _find(rows, n, tile, x)
        for panel in range(v.panels):
            for j in range(n):
                input_1d(n, (x.pixels, rows, j, n, panel * CHANNELS), (work, j, n, 0))
            first = panel * v.stride + tile - span[2]
            for i in range(n):
                input_1d(n, (work, 0, i * n, 1, 0), (vectors, first + i * n * v.hop, v.hop, 0))


@inner
def cotangent_tiles(dy, e, work, n, span):
    """Transform cotangents: A dy A^T, from tiled images to packed ``e``."""
    vectors, m = e.data.reshape(-1, CHANNELS), n - 2
    rows = np.empty(m * m, np.int64)
    for tile in range(span[0], span[1]):
        _find(rows, m, tile, dy)
        for panel in range(e.panels):
            for j in range(m):
                cotangent_1d(n, (dy.pixels, rows, j, m, panel * CHANNELS), (work, j, m, 0))
            first = panel * e.stride + tile - span[2]
            for i in range(n):
                cotangent_1d(n, (work, 0, i * m, 1, 0), (vectors, first + i * n * e.hop, e.hop, 0))


@inner
def output_tiles(p, y, work, epilogue, n, span, filters):
    """Write outputs: A^T p A and the epilogue, from packed ``p`` to tiled images.

    ``filters`` = (first, last) are the panels of y that are written; p begins with the first.
    Return the sum of 0 * y, which is NaN if any output is not finite.
    """
    vectors, results, m = p.data.reshape(-1, CHANNELS), work[n * n :], n - 2
    rows, check = np.empty(m * m, np.int64), np.zeros((1, CHANNELS), y.pixels.dtype)
    for tile in range(span[0], span[1]):
        _find(rows, m, tile, y)
        for panel in range(*filters):
            lane, finite = panel * CHANNELS, load_channels(check, 0, 0)
            scale = load_channels(epilogue.scale, 0, lane)
            shift = load_channels(epilogue.shift, 0, lane)
            first = (panel - filters[0]) * p.stride + tile - span[2]
            for j in range(n):
                output_1d(n, (vectors, first, j * p.hop, n * p.hop, 0), (work, j, n, 0))
            for i in range(m):
                output_1d(n, (work, 0, i * n, 1, 0), (results, i * m, 1, 0))
            for k in range(m * m):
                if rows[k] >= 0:
                    value = load_channels(results, k, 0) * scale + shift
                    finite = finite + value * 0.0
                    store(y.pixels, rows[k], lane, maximum(value, epilogue.minimum))
            store(check, 0, 0, finite)
    return check.sum()
