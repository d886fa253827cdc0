"""``build_lattice`` of ``ops/crf/lattice.py``, compiled."""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.crf import hashing
from minideeplab.backends.numba_cpu.crf.filtering import ChainedLattice, chain
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_for
from minideeplab.ops.crf import lattice as definition
from minideeplab.ops.crf.keys import place_values
from minideeplab.ops.crf.lattice import Lattice


def build_lattice(features: np.ndarray, lanes: int = 4) -> Lattice:
    """Place points with ``features`` (D, N), already divided by the kernel's widths, in a lattice.

    Vertices are numbered in the order in which the points touch them. ``lanes`` and the errors are
    the definition's; it also builds the lattice if coordinates do not fit a 64-bit key.
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
