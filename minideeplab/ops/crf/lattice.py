"""The permutohedral lattice: Gaussian filtering of N points in D dimensions at a cost linear in N.

``exact.py`` sums a Gaussian over all pairs of points. Here the points are placed into a coarse
lattice of simplices instead, and the sum is made on its vertices (Adams, Baek and Davis 2010,
"Fast High-Dimensional Filtering Using the Permutohedral Lattice"):

    K  =  alpha * S' B S        S   splat:  every point shares its value among D+1 vertices
                                B   blur:   taps (1/2, 1, 1/2) along each of the D+1 lattice axes
                                S'  slice:  every point reads its value back, with the same weights

The lattice lives in the hyperplane sum(e) = 0 of D+1 dimensions. Its vertices have integer
coordinates that are all equal modulo D+1; that common remainder r tells the D+1 vertices of a
simplex apart. Rounding and ties follow Kraehenbuehl's C++ code (the one in pydensecrf), so that
the results agree with it. There the simplex is found in float32, hence here too, whatever the
precision of the weights: points on the border of two simplices would otherwise fall to either side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

KEY_LIMIT = 100_000  # there float32 numbers are 1/128 apart, and a simplex has sides of D+1


@dataclass(frozen=True)
class Lattice:
    """N points in a permutohedral lattice of M vertices over D-dimensional features.

    ``corners`` (D+1, N) int32: the vertices around each point. ``weights`` (D+1, N): its
    barycentric coordinates, columns sum to 1. ``neighbours`` (D+1, 2, M) int32: the vertices
    before and behind each vertex on each axis; a missing one is M, the index of a row of zeros.
    """

    corners: np.ndarray
    weights: np.ndarray
    neighbours: np.ndarray
    n_vertices: int
    alpha: float

    def filter(self, values: np.ndarray, reverse: bool = False) -> np.ndarray:
        """Filter ``values`` (C, N); see :func:`filter_lattice`."""
        return filter_lattice(self, values, reverse)


def elevate(features: np.ndarray) -> np.ndarray:
    """Map features (D, N) into the hyperplane, isometric up to scale: (D+1, N), columns sum to 0.

    The scale sqrt(2/3) (D+1) makes the blur of the lattice a Gaussian of standard deviation 1 in
    the features (Adams et al. 2010, section 3).
    """
    d, n = features.shape
    scale = elevation_scale(d).astype(features.dtype)
    elevated = np.empty((d + 1, n), features.dtype)
    total = np.zeros(n, features.dtype)
    for j in range(d, 0, -1):
        scaled = features[j - 1] * scale[j - 1]
        elevated[j] = total - j * scaled
        total += scaled
    elevated[0] = total
    return elevated


@cache
def elevation_scale(d: int) -> np.ndarray:
    """Length of each feature axis in the hyperplane, (D,) float64 from a float32 factor."""
    i = np.arange(1, d + 1)
    scale = float(np.float32(np.sqrt(2 / 3) * (d + 1))) / np.sqrt(i * (i + 1))
    scale.flags.writeable = False
    return scale


def find_simplex(elevated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the simplex around each point: its remainder-0 vertex and ranks, both (D+1, N) int64.

    Coordinates are rounded to the nearest multiple of D+1 (halves to even), and the point is
    brought back into the hyperplane by moving those that were rounded furthest. Sorting the
    remaining offsets from large to small gives the order in which the simplex steps along the axes.
    """
    d = len(elevated) - 1
    quotient = np.rint(elevated * elevated.dtype.type(1 / (d + 1)))
    vertex = quotient * (d + 1)
    offset = elevated - vertex

    rank = np.zeros(elevated.shape, np.int64)
    for i in range(d):
        for j in range(i + 1, d + 1):
            behind = offset[i] < offset[j]
            rank[i] += behind
            rank[j] += ~behind

    rank += quotient.sum(axis=0).astype(np.int64)
    wrap = (d + 1) * ((rank < 0).astype(np.int64) - (rank > d))
    return vertex.astype(np.int64) + wrap, rank + wrap


def barycentric(elevated: np.ndarray, vertex: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Weights (D+1, N) of the simplex's vertices of remainder 0..D for each point, of sum 1."""
    d = len(elevated) - 1
    offset = (elevated - vertex.astype(elevated.dtype)) * elevated.dtype.type(1 / (d + 1))
    weights = np.zeros((d + 2, elevated.shape[1]), elevated.dtype)
    points = np.arange(elevated.shape[1])
    for i in range(d + 1):
        weights[d - rank[i], points] += offset[i]
        weights[d + 1 - rank[i], points] -= offset[i]
    weights[0] += 1 + weights[d + 1]
    return weights[: d + 1]


def build_lattice(features: np.ndarray, lanes: int = 4) -> Lattice:
    """Place points with ``features`` (D, N), already divided by the kernel's widths, in a lattice.

    ``lanes``: pydensecrf embeds four points at a time; when N is no multiple of 4 the missing ones
    sit at feature 0 and their vertices, though empty, let the blur pass. ``lanes=1`` leaves them
    out. Raises ValueError for features that are not finite or too far out for the lattice's keys.
    """
    check_features(features)
    d, n = features.shape
    padded = np.zeros((d, n + -n % lanes), features.dtype)
    padded[:, :n] = features

    vertex, rank = find_simplex(elevate(padded.astype(np.float32)))
    check_keys(vertex)
    weights = barycentric(elevate(padded), vertex, rank)
    corners, neighbours = _connect(_simplex_keys(vertex, rank))
    return Lattice(
        corners=np.ascontiguousarray(corners[:, :n]),
        weights=np.ascontiguousarray(weights[:, :n]),
        neighbours=neighbours,
        n_vertices=neighbours.shape[2],
        alpha=1 / (1 + 2.0**-d),
    )


def check_features(features: np.ndarray) -> None:
    """Raise ValueError unless ``features`` is a finite (D, N) array within the lattice's reach."""
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"features must have shape (D, N) with D, N >= 1, got {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError("features must be finite, got NaN or infinity")
    check_keys(np.abs(features).max() * elevation_scale(len(features))[-1:])


def check_keys(vertex: np.ndarray) -> None:
    """Raise ValueError if a lattice coordinate in ``vertex`` exceeds the limit of the keys."""
    furthest = float(np.abs(vertex).max())
    if furthest > KEY_LIMIT - len(vertex):
        raise ValueError(
            f"features reach lattice coordinate {furthest:.6g}, the limit is {KEY_LIMIT}: "
            "the kernel widths (sxy, srgb) are too small for the range of positions and colours"
        )


def _simplex_keys(vertex: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Coordinates of all corners, (D, D+1, N); the last one is left out, as their sum is 0."""
    d = len(vertex) - 1
    r = np.arange(d + 1)[:, None]
    step = r - (d + 1) * (rank[:d, None] > d - r)  # (D, D+1, N)
    return vertex[:d, None] + step


def _connect(keys: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Number the distinct keys of (D, D+1, N): corners (D+1, N) and neighbours (D+1, 2, M), int32.

    A key is identified by a random linear hash sum_i k_i m_i modulo 2^64. It is linear, so a step
    along an axis adds a constant. Two keys of a million collide with a chance of 3e-8; that is
    checked, and other multipliers are drawn if it happens.
    """
    d = len(keys)
    multipliers = np.random.default_rng(seed).integers(1, 2**63, size=d, dtype=np.int64)
    hashes = np.tensordot(multipliers, keys, axes=1)  # (D+1, N), wraps around
    table, first, corners = np.unique(hashes, return_index=True, return_inverse=True)
    vertices = keys.reshape(d, -1)[:, first]
    corners = corners.reshape(hashes.shape).astype(np.int32)

    missing = len(table)
    neighbours = np.full((d + 1, 2, missing), missing, np.int32)
    exact = np.array_equal(vertices[:, corners], keys)
    for axis in range(d + 1):
        step = np.where(np.arange(d) == axis, d, -1)
        wanted = table + step @ multipliers
        place = np.minimum(np.searchsorted(table, wanted), missing - 1)
        here = np.flatnonzero(table[place] == wanted)
        there = place[here]
        exact &= np.array_equal(vertices[:, there], vertices[:, here] + step[:, None])
        neighbours[axis, 0, here] = there
        neighbours[axis, 1, there] = here
    return (corners, neighbours) if exact else _connect(keys, seed + 1)


def splat(lattice: Lattice, values: np.ndarray) -> np.ndarray:
    """S: add the values (C, N) of the points to their corners, (C, M+1); row M stays zero."""
    corners, m = lattice.corners.ravel(), lattice.n_vertices
    sums = [np.bincount(corners, (lattice.weights * row).ravel(), m + 1) for row in values]
    return np.array(sums, dtype=values.dtype).reshape(len(values), m + 1)


def blur(lattice: Lattice, vertices: np.ndarray, reverse: bool = False) -> np.ndarray:
    """B: blur vertex values (C, M+1) with taps (1/2, 1, 1/2) along one axis after the other.

    The passes do not commute where neighbours are missing: B' is the passes in reverse order.
    """
    axes = lattice.neighbours[::-1] if reverse else lattice.neighbours
    for before, behind in axes:
        blurred = vertices.copy()
        blurred[:, :-1] += (vertices[:, before] + vertices[:, behind]) / 2
        vertices = blurred
    return vertices


def slice_(lattice: Lattice, vertices: np.ndarray) -> np.ndarray:
    """S': read the values of the points, (C, N), from vertex values (C, M+1)."""
    return sum(w * vertices[:, v] for v, w in zip(lattice.corners, lattice.weights, strict=True))


def filter_lattice(lattice: Lattice, values: np.ndarray, reverse: bool = False) -> np.ndarray:
    """Filter ``values`` (C, N) with the lattice's Gaussian: K values, or K' values if ``reverse``.

    K' is the adjoint, <u, K v> = <K' u, v>, which gradients need. The dtype of ``values`` is kept.
    The scale of K is the lattice's own (a unit Gaussian up to a factor of 0.5 to 1); normalise it.
    """
    blurred = blur(lattice, splat(lattice, values), reverse)
    return (lattice.alpha * slice_(lattice, blurred)).astype(values.dtype, copy=False)
