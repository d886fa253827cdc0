"""``build_lattice`` and ``filter_lattice`` of ``ops/crf/lattice.py``, compiled.

The blur follows the chains of a lattice: runs of vertices that are neighbours along an axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from minideeplab.backends.numba_cpu.crf import hashing, passes
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_for, spans
from minideeplab.backends.numba_cpu.simd import WIDTH
from minideeplab.ops.crf import lattice as definition
from minideeplab.ops.crf.keys import place_values
from minideeplab.ops.crf.lattice import Lattice

PARALLEL_VERTICES = 8192  # an axis of fewer is done sooner than another thread wakes up


@dataclass(frozen=True)
class ChainedLattice(Lattice):
    """A lattice with the chains of its vertices, axis by axis: see ``hashing.follow``.

    ``chains`` are the entries of all axes and the D+2 bounds of the axes in them. ``corners`` and
    ``weights`` are stored point by point.
    """

    chains: tuple[np.ndarray, np.ndarray]

    def filter(self, values: np.ndarray, reverse: bool = False) -> np.ndarray:
        """Filter ``values`` (C, N); see :func:`filter_lattice`."""
        return filter_lattice(self, values, reverse)


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

    _for_axes(run, d + 1, len(vertex_keys))
    return neighbours


def _for_axes(task: Callable[[int], None], axes: int, vertices: int) -> None:
    """Call ``task`` for each axis, on all threads if there is enough work for them."""
    if vertices >= PARALLEL_VERTICES:
        parallel_for(task, axes)
        return
    for axis in range(axes):
        task(axis)


def chained(lattice: Lattice) -> ChainedLattice:
    """Return ``lattice`` with chains; they are added if the definition built it."""
    if isinstance(lattice, ChainedLattice):
        return lattice
    return ChainedLattice(
        corners=np.ascontiguousarray(lattice.corners.T).T,
        weights=np.ascontiguousarray(lattice.weights.T).T,
        neighbours=lattice.neighbours,
        n_vertices=lattice.n_vertices,
        alpha=lattice.alpha,
        chains=chain(np.ascontiguousarray(lattice.neighbours)),
    )


def chain(neighbours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the chains of a lattice from its neighbours (D+1, 2, M)."""
    axes, _, m = neighbours.shape
    entries = np.empty((axes, m), np.int32)
    used = np.zeros(axes, np.int64)

    def run(axis: int) -> None:
        used[axis] = hashing.follow(neighbours[axis], entries[axis])

    _for_axes(run, axes, m)
    chains = np.concatenate([row[:count] for row, count in zip(entries, used, strict=True)])
    return chains, np.array([0, *accumulate(used.tolist())])


def filter_lattice(lattice: Lattice, values: np.ndarray, reverse: bool = False) -> np.ndarray:
    """Filter ``values`` (C, N) with the lattice's Gaussian K, or with its adjoint if ``reverse``.

    Channels are independent: a thread computes all passes for as many as fill a vector.
    """
    lattice = chained(lattice)
    values = np.ascontiguousarray(values)
    result = np.empty_like(values)
    corners, weights = lattice.corners.T, lattice.weights.T.astype(values.dtype, copy=False)
    before = np.ones(len(corners), values.dtype)
    after = np.full(len(corners), lattice.alpha, values.dtype)
    chains, bounds = lattice.chains
    blocks = spans(len(values), WIDTH)

    def run(block: int) -> None:
        part = slice(*blocks[block])
        vertices = np.zeros((lattice.n_vertices + 1, WIDTH), values.dtype)
        splat_points(values[part], corners, weights, before, vertices)
        for axis in range(len(bounds) - 1)[:: -1 if reverse else 1]:
            passes.blur(chains, bounds[axis], bounds[axis + 1], vertices)
        slice_points(vertices, corners, weights, after, result[part])

    parallel_for(run, len(blocks))
    return result


@jit
def splat_points(values, corners, weights, before, vertices):
    """Add values (C, N), C <= WIDTH, times ``before`` (N,), to the vertices (M+1, WIDTH)."""
    tile = np.zeros((passes.TILE, WIDTH), values.dtype)
    for first in range(0, values.shape[1], passes.TILE):
        rows = tile[: min(passes.TILE, values.shape[1] - first)]
        passes.read_points(values, first, rows)
        passes.splat(rows, corners, weights, before, first, 0, vertices)


@jit
def slice_points(vertices, corners, weights, after, result):
    """Read the result (C, N), C <= WIDTH, at all points, times ``after`` (N,)."""
    tile = np.empty((passes.TILE, WIDTH), vertices.dtype)
    for first in range(0, result.shape[1], passes.TILE):
        rows = tile[: min(passes.TILE, result.shape[1] - first)]
        passes.slice_(vertices, corners, weights, after, first, rows)
        passes.write_points(rows, first, result)
