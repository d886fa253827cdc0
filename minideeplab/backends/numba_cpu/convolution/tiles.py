"""Winograd's transforms of whole tiles: a 1-D transform of the columns, then of the rows.

A tile is M x M outputs and the N x N inputs that they see. Its transform is N * N points, each
with a vector for every sixteen channels, in the memory order of ``packing.py``.
Pixels of a tile are found by index: padding, edges and dilation cost no copy.

``span`` is (first, last, origin): tiles [first, last) are transformed, and packed memory begins
with tile ``origin``. ``work`` is scratch for two tiles: one between the transforms of its columns
and of its rows, and one of outputs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minideeplab.backends.numba_cpu.convolution.transforms import (
    M,
    N,
    cotangent_1d,
    input_1d,
    output_1d,
)
from minideeplab.backends.numba_cpu.convolution.transpose import lane_sums
from minideeplab.backends.numba_cpu.runtime.jit import inlined, inner
from minideeplab.backends.numba_cpu.simd import (
    CHANNELS,
    absolute,
    load_channels,
    maximum,
    store,
    total,
)


class TiledImages(NamedTuple):
    """Pixels (N * H * W, C) of images, and where the pixels of a tile are in them."""

    pixels: np.ndarray
    tops: np.ndarray  # the first row of each row of tiles
    lefts: np.ndarray
    start: tuple[int, int]  # is subtracted from them: the padding
    dilation: tuple[int, int]
    size: tuple[int, int]  # (H, W)


class TileCheck(NamedTuple):
    """What the input transform checks: it sets ``coarse`` of each tile that loses accuracy."""

    coarse: np.ndarray  # (tiles,) uint8; empty if nothing is checked
    least: float  # the least |window|_1 / |tile|_2 of an output that keeps its accuracy
    out: tuple[int, int]  # (P, Q)


UNCHECKED = TileCheck(np.empty(0, np.uint8), 0.0, (0, 0))


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


@inlined
def _magnitudes(images, row, panels, zero):
    """Return the sums of |x| and of x * x over the channels of a pixel, sixteen lanes each."""
    ones, squares = zero, zero
    if row >= 0:
        for panel in range(panels):
            value = load_channels(images.pixels, row, panel * CHANNELS)
            ones = ones + absolute(value)
            squares = squares + value * value
    return ones, squares


@inner
def _is_coarse(x, tile, rows, panels, work, check):
    """Return whether an output of a tile loses accuracy, see ``tile_accuracy.py``.

    ``work`` holds CHANNELS vectors: the sums over the windows of the M x M outputs.
    """
    zero = load_channels(x.pixels, -1, 0)
    energy, a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    for i in range(N):
        at = N * i
        p0, e0 = _magnitudes(x, rows[at], panels, zero)
        p1, e1 = _magnitudes(x, rows[at + 1], panels, zero)
        p2, e2 = _magnitudes(x, rows[at + 2], panels, zero)
        p3, e3 = _magnitudes(x, rows[at + 3], panels, zero)
        p4, e4 = _magnitudes(x, rows[at + 4], panels, zero)
        p5, e5 = _magnitudes(x, rows[at + 5], panels, zero)
        energy = energy + ((e0 + e1) + (e2 + e3) + (e4 + e5))
        c0, c1, c2, c3 = p0 + p1 + p2, p1 + p2 + p3, p2 + p3 + p4, p3 + p4 + p5
        if i >= 2:  # the sums of three rows
            store(work, 4 * i - 8, 0, a0 + b0 + c0)
            store(work, 4 * i - 7, 0, a1 + b1 + c1)
            store(work, 4 * i - 6, 0, a2 + b2 + c2)
            store(work, 4 * i - 5, 0, a3 + b3 + c3)
        a0, a1, a2, a3, b0, b1, b2, b3 = b0, b1, b2, b3, c0, c1, c2, c3
    least = check.least * np.sqrt(total(energy))
    store(work, 0, 0, lane_sums(work, 0))
    line, right = divmod(tile, x.lefts.size)
    p, q = x.tops[line % x.tops.size], x.lefts[right]
    for i in range(M):
        for j in range(M):
            exists = p + i * x.dilation[0] < check.out[0] and q + j * x.dilation[1] < check.out[1]
            if exists and not work[0, M * i + j] >= least:
                return True
    return False


@inner
def input_tiles(x, v, work, span, check):
    """Transform inputs: B^T d B, from tiled images to packed ``v``; mark inaccurate tiles."""
    vectors, rows = v.data.reshape(-1, CHANNELS), np.empty(N * N, np.int64)
    for tile in range(span[0], span[1]):
        _find(rows, N, tile, x)
        if check.coarse.size:
            check.coarse[tile] = _is_coarse(x, tile, rows, v.panels, work, check)
        for panel in range(v.panels):
            for j in range(N):
                input_1d((x.pixels, rows, j, N, panel * CHANNELS), (work, j, N, 0))
            first = panel * v.stride + tile - span[2]
            for i in range(N):
                input_1d((work, 0, i * N, 1, 0), (vectors, first + i * N * v.hop, v.hop, 0))


@inner
def cotangent_tiles(dy, e, work, span):
    """Transform cotangents: A dy A^T, from tiled images to packed ``e``."""
    vectors, rows = e.data.reshape(-1, CHANNELS), np.empty(M * M, np.int64)
    for tile in range(span[0], span[1]):
        _find(rows, M, tile, dy)
        for panel in range(e.panels):
            for j in range(M):
                cotangent_1d((dy.pixels, rows, j, M, panel * CHANNELS), (work, j, M, 0))
            first = panel * e.stride + tile - span[2]
            for i in range(N):
                cotangent_1d((work, 0, i * M, 1, 0), (vectors, first + i * N * e.hop, e.hop, 0))


@inner
def output_tiles(p, y, work, epilogue, span, filters):
    """Write outputs: A^T p A and the epilogue, from packed ``p`` to tiled images.

    ``filters`` = (first, last) are the panels of y that are written; p begins with the first.
    Return the sum of 0 * y, which is NaN if any output is not finite.
    """
    vectors, results = p.data.reshape(-1, CHANNELS), work[N * N :]
    rows, check = np.empty(M * M, np.int64), np.zeros((1, CHANNELS), y.pixels.dtype)
    for tile in range(span[0], span[1]):
        _find(rows, M, tile, y)
        for panel in range(*filters):
            lane, finite = panel * CHANNELS, load_channels(check, 0, 0)
            scale = load_channels(epilogue.scale, 0, lane)
            shift = load_channels(epilogue.shift, 0, lane)
            first = (panel - filters[0]) * p.stride + tile - span[2]
            for j in range(N):
                output_1d((vectors, first, j * p.hop, N * p.hop, 0), (work, j, N, 0))
            for i in range(M):
                output_1d((work, 0, i * N, 1, 0), (results, i * M, 1, 0))
            for k in range(M * M):
                if rows[k] >= 0:
                    value = load_channels(results, k, 0) * scale + shift
                    finite = finite + value * 0.0
                    store(y.pixels, rows[k], lane, maximum(value, epilogue.minimum))
            store(check, 0, 0, finite)
    return check.sum()
