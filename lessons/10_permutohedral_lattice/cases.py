"""Lesson 10: its tasks, and the cases that judge them."""

from __future__ import annotations

import itertools

import numpy as np

from minideeplab.grading import About, Case, Task
from minideeplab.ops.crf.lattice import build_lattice

ABOUT = About(
    title="The permutohedral lattice",
    minutes=170,
    needs=("09",),
    paper="3.3; Adams, Baek and Davis 2010",
)


def random(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def lift(features: np.ndarray) -> np.ndarray:
    """Multiply by the basis, which comes from orthogonalising the axes' differences."""
    d = len(features)
    rows = np.tril(np.ones((d + 1, d + 1)))[:d]  # (1, 0, ..), (1, 1, 0, ..), ..
    rows[np.arange(d), np.arange(d) + 1] = -np.arange(1, d + 1)
    basis = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.sqrt(2 / 3) * (d + 1) * basis.T @ features


def search_simplex(elevated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Try all vertices of remainder 0 nearby, then place the coordinates by sorting."""
    size = len(elevated)
    steps = [s for s in itertools.product((-1, 0, 1), repeat=size)]
    near = np.floor(elevated / size + 0.5)
    vertex, rank = np.empty(elevated.shape, np.int64), np.empty(elevated.shape, np.int64)
    for n in range(elevated.shape[1]):
        tried = np.array([near[:, n] + step for step in steps])
        tried = size * tried[tried.sum(axis=1) == 0]
        vertex[:, n] = tried[((tried - elevated[:, n]) ** 2).sum(axis=1).argmin()]
        rank[np.argsort(vertex[:, n] - elevated[:, n]), n] = np.arange(size)
    return vertex, rank


def two_to_repair() -> np.ndarray:
    """Return points whose rounded coordinates have a sum of two steps, of either sign."""
    elevated = lift(3 * random(16, 5, 400))
    excess = np.rint(elevated / 6).sum(axis=0)
    return np.concatenate([elevated[:, excess == 2][:, :3], elevated[:, excess == -2][:, :3]], 1)


def solve_weights(offset: np.ndarray) -> np.ndarray:
    """Solve the linear equations for the weights."""
    size = len(offset)
    weights = np.empty(offset.shape)
    for n in range(offset.shape[1]):
        rank = np.empty(size, np.int64)
        rank[np.argsort(-offset[:, n])] = np.arange(size)
        corners = [np.where(rank < size - k, k, k - size) for k in range(size)]
        matrix = np.vstack([np.array(corners, float).T, np.ones(size)])
        weights[:, n] = np.linalg.lstsq(matrix, np.append(offset[:, n], 1), rcond=None)[0]
    return weights


def splat_by_loops(
    values: np.ndarray, corners: np.ndarray, weights: np.ndarray, n_vertices: int
) -> np.ndarray:
    """Add one product after another."""
    sums = np.zeros((len(values), n_vertices))
    for k, n in np.ndindex(*corners.shape):
        sums[:, corners[k, n]] += weights[k, n] * values[:, n]
    return sums


def blur_by_matrices(vertices: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Multiply by the matrix of each pass."""
    m = vertices.shape[1]
    for axis in neighbours:
        matrix = np.eye(m, m + 1) / 2
        for side in axis:
            matrix[np.arange(m), side] += 0.25
        vertices = vertices @ matrix[:, :m].T
    return vertices


def offsets(seed: int, d: int, n: int) -> np.ndarray:
    """Offsets of random points from their nearest vertices."""
    elevated = lift(3 * random(seed, d, n))
    return elevated - search_simplex(elevated)[0]


def shared(seed: int, channels: int, d: int, n: int, width: float) -> tuple:
    """Arguments of a splat of random points that share vertices."""
    lattice = build_lattice(random(seed, d, n) / width, lanes=1)
    corners = lattice.corners.astype(np.int64)
    return random(seed + 1, channels, n), corners, lattice.weights, lattice.n_vertices


def vertices(seed: int, channels: int, d: int, n: int, width: float) -> tuple:
    """Arguments of a blur on the lattice of random points."""
    lattice = build_lattice(random(seed, d, n) / width, lanes=1)
    return random(seed + 1, channels, lattice.n_vertices), lattice.neighbours.astype(np.int64)


LINE = np.array([[[4, 0, 1, 2], [1, 2, 3, 4]]])  # four vertices in a row

TASKS = (
    Task(
        id="10.1",
        function="elevate",
        points=2,
        reference=lift,
        cases=(
            Case("one dimension", (random(1, 1, 4),), shown=True),
            Case("two dimensions", (random(2, 2, 3),), shown=True),
            Case("five dimensions", (random(3, 5, 6),)),
            Case("one point, three dimensions", (random(4, 3, 1),)),
        ),
    ),
    Task(
        id="10.2",
        function="find_simplex",
        points=3,
        reference=search_simplex,
        returns=("vertex", "rank"),
        cases=(
            Case("one dimension", (lift(random(11, 1, 5)),), shown=True),
            Case("two dimensions", (lift(4 * random(12, 2, 8)),), shown=True),
            Case("near a vertex", (lift(0.2 * random(13, 4, 5)),)),
            Case("three dimensions, far out", (lift(40 * random(14, 3, 12)),)),
            Case("five dimensions", (lift(2 * random(15, 5, 20)),)),
            Case("two coordinates to repair", (two_to_repair(),)),
        ),
    ),
    Task(
        id="10.3",
        function="barycentric",
        points=2,
        reference=solve_weights,
        cases=(
            Case("one dimension", (offsets(21, 1, 4),), shown=True),
            Case("two dimensions", (offsets(22, 2, 5),), shown=True),
            Case("five dimensions", (offsets(23, 5, 9),)),
            Case("on the vertex", (np.zeros((4, 2)),)),
            Case("one point, three dimensions", (offsets(24, 3, 1),)),
        ),
    ),
    Task(
        id="10.4",
        function="splat",
        points=1,
        reference=splat_by_loops,
        cases=(
            Case(
                "no vertex shared",
                (random(31, 2, 2), np.array([[0, 3], [1, 4], [2, 5]]),
                 np.array([[0.5, 0.25], [0.3, 0.25], [0.2, 0.5]]), 6),
                shown=True,
            ),
            Case("many points in one triangle", shared(32, 1, 2, 9, 8.0), shown=True),
            Case("five dimensions", shared(34, 3, 5, 20, 2.0)),
            Case(
                "a vertex that nobody touches",
                (random(36, 2, 3), np.array([[0, 1, 0], [2, 2, 1]]),
                 np.array([[0.4, 0.9, 0.1], [0.6, 0.1, 0.9]]), 5),
            ),
        ),
    ),
    Task(
        id="10.5",
        function="blur",
        points=2,
        reference=blur_by_matrices,
        cases=(
            Case("one axis, four in a row", (random(41, 1, 4), LINE), shown=True),
            Case("two dimensions", vertices(42, 2, 2, 12, 1.0), shown=True),
            Case("five dimensions", vertices(44, 3, 5, 30, 1.5)),
            Case("nobody has a neighbour", (random(46, 2, 3), np.full((3, 2, 3), 3))),
        ),
    ),
)  # fmt: skip
