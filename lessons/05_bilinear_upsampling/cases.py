"""Lesson 5: its tasks, and the cases that judge them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minideeplab.grading import About, Case, Given, Task
from minideeplab.ops import resize

ABOUT = About(
    title="Bilinear upsampling, align_corners, and its adjoint",
    minutes=110,
    needs=("04",),
    paper="3.1, figure 1; 4.1.1",
)


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def library_positions(size: int, out: int, align_corners: bool) -> np.ndarray:
    """Ask the library between which pixels it reads, and how far."""
    low, high, fraction = resize.linear_source(size, out, align_corners, None, np.dtype(np.float64))
    return low + (high - low) * fraction


def tents(size: int, positions: np.ndarray) -> np.ndarray:
    """Weights (out, size): a tent over each pixel, seen from the positions."""
    return np.maximum(0, 1 - abs(positions[:, None] - np.arange(size)))


def by_matrices(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Multiply with a matrix from either side."""
    return tents(x.shape[1], rows) @ x @ tents(x.shape[2], columns).T


def by_transposes(
    dy: np.ndarray, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int, int]
) -> np.ndarray:
    """Multiply with the transposes."""
    return tents(shape[1], rows).T @ dy @ tents(shape[2], columns)


def entry_by_entry(
    affine: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Ask how much each output changes when one input changes."""
    zero = np.zeros(shape)
    offset = np.array(list(affine(zero).flat))
    matrix = np.zeros((offset.size, zero.size))
    for i, j in np.ndindex(matrix.shape):
        changed = zero.copy()
        changed.flat[j] = 2.0
        matrix[i, j] = (affine(changed).flat[i] - offset[i]) / 2
    return matrix, offset


def stretch(x: np.ndarray, z: int) -> np.ndarray:
    """Upsample by the library's definition."""
    size = 1, (len(x) - 1) * z + 1
    return resize.interpolate(x[None, None, None], size, "bilinear", True, (None, None))[0, 0, 0]


THIRDS, EIGHTHS = np.arange(10) / 3, np.arange(17) / 8

TASKS = (
    Task(
        id="5.1",
        function="source_positions",
        points=2,
        reference=library_positions,
        cases=(
            Case("corners aligned, 3 to 9", (3, 9, True), shown=True),
            Case("edges aligned, 3 to 6", (3, 6, False), shown=True),
            Case("corners, 4 to 7", (4, 7, True)),
            Case("edges, 4 to 7", (4, 7, False)),
            Case("corners, 9 to 4", (9, 4, True)),
            Case("edges, 9 to 4", (9, 4, False)),
            Case("corners, a single output", (5, 1, True)),
            Case("edges, a single output", (5, 1, False)),
        ),
    ),
    Task(
        id="5.2",
        function="upsample",
        points=2,
        reference=by_matrices,
        cases=(
            Case(
                "inside",
                (numbers(1, 1, 3, 4), np.array([0.25, 1.5]), np.array([0.0, 1.125, 2.75])),
                shown=True,
            ),
            Case(
                "the last row and column",
                (numbers(2, 1, 3, 4), np.array([1.0, 2.0]), np.array([0.5, 3.0])),
                shown=True,
            ),
            Case("two channels", (numbers(3, 2, 4, 3), THIRDS, EIGHTHS)),
            Case("a single row", (numbers(4, 2, 1, 5), np.zeros(3), np.array([0.75, 3.25]))),
            Case(
                "backwards and repeated",
                (numbers(5, 3, 4, 5), np.array([2.5, 2.5, 0.75]), np.array([3.5, 1.25, 0.5])),
            ),
        ),
    ),
    Task(
        id="5.3",
        function="matrix_of",
        points=1,
        reference=entry_by_entry,
        returns=("A", "b"),
        cases=(
            Case("differences", (Given("differences"), (4,)), shown=True),
            Case("running sums and a bias", (Given("running_sums_and_bias"), (4,)), shown=True),
            Case("every value twice", (Given("twice"), (3,))),
            Case("every third value", (Given("every_third"), (8,))),
            Case("the mean", (Given("mean"), (5,))),
            Case("an image", (Given("half_the_rows"), (4, 3))),
            Case("an image and a bias", (Given("turned_and_bias"), (2, 3))),
        ),
    ),
    Task(
        id="5.4",
        function="upsample_backward",
        points=3,
        reference=by_transposes,
        cases=(
            Case(
                "no pixel is read twice",
                (numbers(6, 1, 2, 2), np.array([0.25, 2.5]), np.array([1.75, 3.5]), (1, 4, 5)),
                shown=True,
            ),
            Case(
                "neighbours are shared",
                (numbers(7, 1, 3, 4), np.arange(3) / 2, np.arange(4) * 0.625, (1, 2, 3)),
                shown=True,
            ),
            Case("two channels", (numbers(8, 2, 10, 17), THIRDS, EIGHTHS, (2, 4, 3))),
            Case(
                "a single row",
                (numbers(9, 2, 3, 2), np.zeros(3), np.array([0.75, 3.25]), (2, 1, 5)),
            ),
            Case(
                "pixels that nobody reads",
                (numbers(10, 1, 2, 3), np.array([3.5, 0.25]), np.full(3, 2.25), (1, 6, 7)),
            ),
        ),
    ),
    Task(
        id="5.5",
        function="upsample_by_tents",
        points=2,
        reference=stretch,
        cases=(
            Case("by 2", (numbers(11, 4), 2), shown=True),
            Case("by 3", (numbers(12, 3), 3), shown=True),
            Case("by 8", (numbers(13, 5), 8)),
            Case("by 1", (numbers(14, 6), 1)),
            Case("a single value", (numbers(15, 1), 4)),
        ),
    ),
)
