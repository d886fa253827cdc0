"""``build_lattice`` as ``crf/lattice.py`` defines it, compiled."""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.crf import hashing
from minideeplab.backends.numba_cpu.crf.filtering import ChainedLattice, chain
from minideeplab.backends.numba_cpu.threads import parallel_for
from minideeplab.crf import lattice as definition
from minideeplab.crf.lattice import Lattice

KEY_BITS = 62


def build_lattice(features: np.ndarray, lanes: int = 4) -> Lattice:
    """Place points with ``features`` (D, N), already divided by the kernel's widths, in a lattice.

    The vertices are numbered in the order in which the points touch them. ``lanes`` and the errors
    are the definition's; so is the lattice if the coordinates are too wide for a 64-bit key.
    """
    definition.check_features(features)
    d, n = features.shape
    padded = np.zeros((d, n + -n % lanes), features.dtype)
    padded[:, :n] = features
    places = place_values(padded)
    if places is None:
        return definition.build_lattice(features, lanes)

    scale = definition.elevation_scale(d)
    corners = np.empty((padded.shape[1], d + 1), np.int32)
    weights = np.empty(corners.shape, features.dtype)
    *index, furthest = hashing.number_vertices(
        padded.astype(np.float32, copy=False),
        padded,
        scale.astype(np.float32),
        scale.astype(features.dtype),
        places,
        corners,
        weights,
    )
    definition.check_keys(np.full((d + 1, 1), int(furthest)))
    neighbours = find_neighbours(places, *index)
    return ChainedLattice(
        corners=corners[:n].T,
        weights=weights[:n].T,
        neighbours=neighbours,
        n_vertices=neighbours.shape[2],
        alpha=1 / (1 + 2.0**-d),
        chains=chain(neighbours),
    )


def place_values(features: np.ndarray) -> np.ndarray | None:
    """Place values of the D+1 coordinates in a vertex's key, then their sum; None if it won't fit.

    A digit must hold all that a coordinate may be: the range of the elevated features and some
    steps of the lattice to either side. The last coordinate, minus the sum of the others, has none.
    """
    d = len(features)
    spread = np.ptp(features, axis=1).astype(np.float64) * definition.elevation_scale(d)
    ranges = [spread[j:].sum() + (j * spread[j - 1] if j else 0) for j in range(d)]
    digits = np.ceil(ranges) + 4 * (d + 1)
    if np.log2(digits).sum() > KEY_BITS:
        return None
    places = np.zeros(d + 2, np.int64)
    places[:d] = np.cumprod(np.append(1, digits[:-1])).astype(np.int64)
    places[-1] = places.sum()
    return places


def find_neighbours(
    places: np.ndarray, vertex_keys: np.ndarray, table: np.ndarray, bits: int
) -> np.ndarray:
    """Return the neighbours (D+1, 2, M) int32 of all vertices; the threads share the axes."""
    d = len(places) - 2
    neighbours = np.empty((d + 1, 2, len(vertex_keys)), np.int32)

    def run(axis: int) -> None:
        step = (d + 1) * places[axis] - places[-1]
        hashing.connect(vertex_keys, table, bits, step, neighbours[axis])

    parallel_for(run, d + 1)
    return neighbours
