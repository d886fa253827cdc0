"""``build_lattice`` and ``filter_lattice`` of ``ops/crf/lattice.py``, compiled.

The blur follows the chains of a lattice: runs of vertices that are neighbours along an axis.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from minideeplab.backends.numba_cpu.crf import hashing, passes
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_for, spans
from minideeplab.backends.numba_cpu.simd import WIDTH
from minideeplab.ops.crf import lattice as definition
from minideeplab.ops.crf.keys import place_values
from minideeplab.ops.crf.lattice import Lattice

PARALLEL_VERTICES = 8192  # an axis of fewer is done sooner than another thread wakes up


class ChainedLattice(Lattice):
    """A lattice with the chains of its vertices, axis by axis: see ``hashing.follow``.

    ``chains`` are the entries of all axes and the D+2 bounds of the axes in them. ``corners`` and
    ``weights`` are stored point by point. ``neighbours``, which the blur does not need, take more
    memory than the chains and are made of them on first use.
    """

    chains: tuple[np.ndarray, np.ndarray]

    def __init__(self, **values: object):
        self.__dict__.update(values)  # the base class is frozen

    @cached_property
    def neighbours(self) -> np.ndarray:
        """The neighbours (D+1, 2, M) int32 of all vertices, as in :class:`Lattice`."""
        (entries, bounds), m = self.chains, self.n_vertices
        result = np.full((len(bounds) - 1, 2, m), m, np.int32)
        for neighbours, (start, stop) in zip(result, pairwise(bounds), strict=True):
            chain = entries[start:stop]
            vertices, goes_on = np.where(chain < 0, ~chain, chain), chain[:-1] >= 0
            first, second = vertices[:-1][goes_on], vertices[1:][goes_on]
            neighbours[0, first], neighbours[1, second] = second, first
        return result

    def filter(self, values: np.ndarray, reverse: bool = False) -> np.ndarray:
        """Filter ``values`` (C, N); see :func:`filter_lattice`."""
        return filter_lattice(self, values, reverse)


def build_lattice(features: np.ndarray, lanes: int = 4) -> Lattice:
    """Place points with ``features`` (D, N), already divided by the kernel's widths, in a lattice.

    Vertices are numbered in the order in which the points touch them. ``lanes`` and the errors are
    the definition's. Coordinates that do not fit a 64-bit key are hashed.
    """
    definition.check_features(features)
    d, n = features.shape
    padded = np.zeros((d, n + -n % lanes), features.dtype)
    padded[:, :n] = features
    places = place_values(padded)
    if places is not None:
        return _build(padded, n, places)
    # Hashes instead: two that number the vertices alike have no collisions.
    first, second = (_build(padded, n, random_places(d, seed)) for seed in (0, 1))
    same = np.array_equal(first.corners, second.corners)
    same = same and all(map(np.array_equal, first.chains, second.chains))
    return first if same else definition.build_lattice(features, lanes)


def random_places(d: int, seed: int) -> np.ndarray:
    """Return random place values (D+2,), as :func:`place_values`: keys are then linear hashes."""
    places = np.zeros(d + 2, np.int64)
    places[:d] = np.random.default_rng(seed).integers(1, 2**63, size=d, dtype=np.int64)
    places[-1] = places.sum()  # modulo 2^64
    return places


def _build(padded: np.ndarray, n: int, places: np.ndarray) -> ChainedLattice:
    """Build the lattice of the first ``n`` of the points (D, N)."""
    d = len(padded)
    scale = definition.elevation_scale(d)
    corners = np.empty((padded.shape[1], d + 1), np.int32)
    weights = np.empty(corners.shape, padded.dtype)
    *index, furthest = hashing.number_vertices(
        padded.astype(np.float32, copy=False),
        padded,
        scale.astype(np.float32),
        scale.astype(padded.dtype),
        places,
        corners,
        weights,
    )
    definition.check_keys(np.full((d + 1, 1), int(furthest)))
    return ChainedLattice(
        corners=corners[:n].T,
        weights=weights[:n].T,
        n_vertices=len(index[0]),
        alpha=1 / (1 + 2.0**-d),
        chains=find_chains(places, *index),
    )


def find_chains(
    places: np.ndarray, vertex_keys: np.ndarray, table: np.ndarray, bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the chains of a lattice from its vertices' keys; the threads share the axes."""
    d = len(places) - 2
    steps = (d + 1) * places[:-1] - places[-1]  # modulo 2^64

    def neighbours_of(axis: int) -> np.ndarray:
        neighbours = np.empty((2, len(vertex_keys)), np.int32)
        hashing.connect(vertex_keys, table, bits, steps[axis], neighbours)
        return neighbours

    return chain(neighbours_of, d + 1, len(vertex_keys))


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
        chains=chain(
            lambda axis: np.ascontiguousarray(lattice.neighbours[axis]),
            len(lattice.neighbours),
            lattice.n_vertices,
        ),
    )


def chain(
    neighbours_of: Callable[[int], np.ndarray], axes: int, vertices: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the chains of a lattice from the neighbours (2, M) of each axis."""
    rows: list[np.ndarray] = [np.empty(0, np.int32)] * axes

    def run(axis: int) -> None:
        entries = np.empty(vertices, np.int32)
        rows[axis] = entries[: hashing.follow(neighbours_of(axis), entries)].copy()

    _for_axes(run, axes, vertices)
    return np.concatenate(rows), np.array([0, *accumulate(map(len, rows))])


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
