"""Place points in the permutohedral lattice: the kernels of ``build_lattice``.

The definition is ``ops/crf/lattice.py``; the steps have the same names. Points are processed in
tiles: each step is a loop over the tile, which the compiler vectorizes.

The key of a vertex is sum_i m_i k_i of its coordinates k_i: a step along an axis adds a constant.
The m_i are the place values of a mixed-radix number with a digit per coordinate, so different
vertices have different keys.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.runtime.jit import jit

TOO_FAR = 1e6  # larger coordinates are not converted to integers; the caller rejects them


@jit
def elevate(features, scale, elevated):
    """Features (D, tile) -> elevated coordinates (D+1, tile)."""
    total = elevated[0]
    for p in range(total.size):
        total[p] = 0
    for j in range(features.shape[0], 0, -1):
        feature, row = features[j - 1], elevated[j]
        factor, weight = scale[j - 1], elevated.dtype.type(j)
        for p in range(total.size):
            scaled = feature[p] * factor
            row[p] = total[p] - weight * scaled
            total[p] += scaled


@jit
def find_simplex(elevated, vertex, rank):
    """Elevated coordinates (D+1, tile) -> remainder-0 vertex and ranks, all float32."""
    d, size = elevated.shape[0] - 1, elevated.shape[1]
    inverse, side = np.float32(1 / (d + 1)), np.float32(d + 1)
    one, zero = np.float32(1), np.float32(0)
    offset = np.empty((d + 1, size), np.float32)
    excess = np.zeros(size, np.float32)
    for i in range(d + 1):
        coordinate, nearest, left = elevated[i], vertex[i], offset[i]
        for p in range(size):
            quotient = np.rint(coordinate[p] * inverse)
            excess[p] += quotient
            nearest[p] = quotient * side
            left[p] = coordinate[p] - nearest[p]
    for i in range(d + 1):
        own, place = offset[i], rank[i]
        for p in range(size):
            place[p] = excess[p]
        for j in range(d + 1):
            other = offset[j]
            if j < i:
                for p in range(size):
                    place[p] += zero if other[p] < own[p] else one
            elif j > i:
                for p in range(size):
                    place[p] += one if own[p] < other[p] else zero
        nearest = vertex[i]
        for p in range(size):
            wrap = (side if place[p] < zero else zero) - (side if place[p] >= side else zero)
            place[p] += wrap
            nearest[p] += wrap


@jit
def barycentric(elevated, vertex, rank, weights):
    """Weights (tile, D+1) of the simplex's vertices of remainder 0..D."""
    d, size = elevated.shape[0] - 1, elevated.shape[1]
    inverse = elevated.dtype.type(1 / (d + 1))
    ordered = np.empty(d + 1, elevated.dtype)
    for p in range(size):
        for i in range(d + 1):
            ordered[int(rank[i, p])] = (elevated[i, p] - vertex[i, p]) * inverse
        weights[p, 0] = ordered[d] + (1 - ordered[0])
        for r in range(1, d + 1):
            weights[p, r] = ordered[d - r] - ordered[d - r + 1]


@jit
def simplex_keys(vertex, rank, places, keys):
    """Keys (tile, D+1) of all corners: each is one step from the one before."""
    d, size = vertex.shape[0] - 1, vertex.shape[1]
    steps = np.empty(d + 1, np.int64)
    for p in range(size):
        key = 0
        for i in range(d + 1):
            key += places[i] * int(vertex[i, p])
            steps[int(rank[i, p])] = (d + 1) * places[i]
        keys[p, 0] = key
        for r in range(1, d + 1):
            key += places[d + 1] - steps[d - r + 1]
            keys[p, r] = key


@jit
def embed(features32, features, scale32, scale, places, keys, weights):
    """Fill keys and weights (tile, D+1) of features (D, tile); return the largest coordinate.

    The simplex is found in float32 (``features32``, ``scale32``) whatever the dtype of the others.
    ``places`` (D+2,): the place values of the D+1 coordinates, 0 for the last, then their sum.
    """
    d, size = features.shape
    elevated = np.empty((d + 1, size), np.float32)
    vertex, rank = np.empty_like(elevated), np.empty_like(elevated)
    elevate(features32, scale32, elevated)
    find_simplex(elevated, vertex, rank)
    furthest = np.float32(0)
    for i in range(d + 1):
        row = vertex[i]
        for p in range(size):
            furthest = max(furthest, abs(row[p]))
    if furthest < TOO_FAR:
        precise = np.empty((d + 1, size), features.dtype)
        elevate(features, scale, precise)
        barycentric(precise, vertex, rank, weights)
        simplex_keys(vertex, rank, places, keys)
    return furthest
