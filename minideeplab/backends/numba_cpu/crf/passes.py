"""The passes over points and vertices that the lattice filter and the mean field consist of.

Rows are (points or vertices, lanes): the channels of one of them side by side, padded with zeros to
whole vectors. A ``tile`` is the rows of some consecutive points, few enough to stay in cache.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.exponential import exponential
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.simd import (
    WIDTH,
    highest,
    load,
    maximum,
    store,
    total,
)

TILE = 64


@jit
def read_points(values, first, tile):
    """Transpose values (C, N) of the points from ``first`` on into the tile's rows."""
    for c in range(values.shape[0]):
        channel = values[c]
        for p in range(tile.shape[0]):
            tile[p, c] = channel[first + p]


@jit
def write_points(tile, first, values):
    """Transpose the tile's rows into values (C, N), from point ``first`` on."""
    for c in range(values.shape[0]):
        channel = values[c]
        for p in range(tile.shape[0]):
            channel[first + p] = tile[p, c]


@jit
def splat(tile, corners, weights, before, first, owned, vertices):
    """Add the tile's rows, times ``before``, to the corners of the points from ``first`` on.

    Corners numbered below ``owned``, which another thread writes, are skipped; returns how many.
    """
    left = 0
    for p in range(tile.shape[0]):
        scale = before[first + p]
        for r in range(corners.shape[1]):
            v = corners[first + p, r]
            if v < owned:
                left += 1
                continue
            weight = weights[first + p, r] * scale
            for lane in range(0, tile.shape[1], WIDTH):
                store(vertices, v, lane, load(vertices, v, lane) + load(tile, p, lane) * weight)
    return left


@jit
def slice_(vertices, corners, weights, after, first, tile):
    """Read the points' rows from their corners, times ``after``."""
    for p in range(tile.shape[0]):
        scale = after[first + p]
        for lane in range(0, tile.shape[1], WIDTH):
            row = load(vertices, corners[first + p, 0], lane) * weights[first + p, 0]
            for r in range(1, corners.shape[1]):
                row = row + load(vertices, corners[first + p, r], lane) * weights[first + p, r]
            store(tile, p, lane, row * scale)


@jit
def splat_entries(entries, rows, corners, weights, before, vertices):
    """Add what :func:`splat` skipped: entry e is corner e % (D+1) of point e // (D+1)."""
    sides = corners.shape[1]
    for k in range(entries.size):
        p, r = entries[k] // sides, entries[k] % sides
        weight, v = weights[p, r] * before[p], corners[p, r]
        for lane in range(0, rows.shape[1], WIDTH):
            store(vertices, v, lane, load(vertices, v, lane) + load(rows, p, lane) * weight)


@jit
def blur(chains, start, stop, vertices):
    """Blur along chains[start:stop] of one axis, in place: add half its neighbours to each row.

    The last row of ``vertices`` is zero. A chain ends with the complement of a vertex.
    """
    lanes = vertices.shape[1]
    before = np.zeros((2, lanes), vertices.dtype)  # row 0: zeros, before a chain's first vertex
    position = 0
    for k in range(start, stop):
        v, after = chains[k], np.int32(vertices.shape[0] - 1)
        ends = v < 0
        if ends:
            v = ~v
        else:
            after = chains[k + 1]
            after = after if after >= 0 else ~after
        for lane in range(0, lanes, WIDTH):
            row = load(vertices, v, lane)
            both = load(before, position, lane) + load(vertices, after, lane)
            store(before, 1, lane, row)
            store(vertices, v, lane, row + both * 0.5)
        position = 0 if ends else 1


@jit
def subtract_slice(vertices, corners, weights, after, diagonal, first, base, start, tile):
    """Fill the tile with rows of ``base``, from ``start`` on, minus their messages.

    A message is what :func:`slice_` reads, times the ``diagonal`` (1, lanes) of mu.
    """
    for p in range(tile.shape[0]):
        scale = -after[first + p]
        for lane in range(0, tile.shape[1], WIDTH):
            row = load(vertices, corners[first + p, 0], lane) * weights[first + p, 0]
            for r in range(1, corners.shape[1]):
                row = row + load(vertices, corners[first + p, r], lane) * weights[first + p, r]
            message = row * scale * load(diagonal, 0, lane)
            store(tile, p, lane, load(base, start + p, lane) + message)


@jit
def subtract_product(messages, columns, base, start, tile):
    """Fill the tile with rows of ``base``, from ``start`` on, minus mu times the messages' rows.

    ``columns`` (C, lanes): those of the matrix mu.
    """
    for p in range(tile.shape[0]):
        for lane in range(0, tile.shape[1], WIDTH):
            row = load(base, start + p, lane)
            for c in range(columns.shape[0]):
                row = row - load(columns, c, lane) * messages[p, c]
            store(tile, p, lane, row)


@jit
def negate(tile, labels, padding):
    """Change the sign of the first ``labels`` lanes of each row; set the others to ``padding``."""
    for p in range(tile.shape[0]):
        row = tile[p]
        for c in range(row.size):
            row[c] = -row[c] if c < labels else padding


@jit
def keep(tile, first, rows):
    """Copy the tile to rows (N, lanes), from ``first`` on."""
    for p in range(tile.shape[0]):
        for lane in range(0, tile.shape[1], WIDTH):
            store(rows, first + p, lane, load(tile, p, lane))


@jit
def softmax(tile):
    """Replace each row of scores by its softmax."""
    lanes = tile.shape[1]
    for p in range(tile.shape[0]):
        best = load(tile, p, 0)
        for lane in range(WIDTH, lanes, WIDTH):
            best = maximum(best, load(tile, p, lane))
        peak = highest(best)
        mass = exponential(load(tile, p, 0) - peak)
        store(tile, p, 0, mass)
        for lane in range(WIDTH, lanes, WIDTH):
            e = exponential(load(tile, p, lane) - peak)
            store(tile, p, lane, e)
            mass = mass + e
        scale = 1 / total(mass)
        for lane in range(0, lanes, WIDTH):
            store(tile, p, lane, load(tile, p, lane) * scale)
