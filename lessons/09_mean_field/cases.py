"""Lesson 9: its tasks, and the cases that judge them."""

from __future__ import annotations

import itertools
import math

import numpy as np

from minideeplab.crf.potentials import bilateral_features
from minideeplab.grading import About, Case, Task
from minideeplab.ops.crf.exact import ExactKernel
from minideeplab.ops.crf.meanfield import Term, mean_field

ABOUT = About(
    title="Dense CRF by brute force: mean field",
    minutes=140,
    needs=("07",),
    paper="3.3, equations 2 and 3; Krähenbühl and Koltun 2011",
)


def random(seed: int, *shape: int) -> np.ndarray:
    """Random numbers of a shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def image(seed: int, *shape: int) -> np.ndarray:
    """A random uint8 image."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def beliefs(seed: int, *shape: int) -> np.ndarray:
    """Random distributions over labels, (C, N)."""
    q = np.exp(random(seed, *shape))
    return q / q.sum(axis=0)


def coupling(seed: int, n: int) -> np.ndarray:
    """A symmetric kernel (n, n) with zeros on its diagonal."""
    upper = np.triu(np.random.default_rng(seed).uniform(0.1, 1, (n, n)), 1)
    return upper + upper.T


def potts(labels: int, weight: float) -> np.ndarray:
    """Potts' compatibility."""
    return weight * (1 - np.eye(labels))


def prices(seed: int, labels: int) -> np.ndarray:
    """Any symmetric compatibility."""
    mu = random(seed, labels, labels)
    return mu + mu.T


def kernel_by_library(image: np.ndarray, sxy: float, srgb: float) -> np.ndarray:
    """The library's exact kernel, without its diagonal."""
    matrix = ExactKernel(bilateral_features(image, sxy, srgb, np.float64)).matrix
    return matrix * (1 - np.eye(len(matrix)))


def energy_by_pairs(
    labels: np.ndarray, unary: np.ndarray, kernel: np.ndarray, mu: np.ndarray
) -> float:
    """Add up pixel by pixel and pair by pair."""
    total = sum(unary[label, i] for i, label in enumerate(labels))
    for i, j in itertools.combinations(range(len(labels)), 2):
        total += mu[labels[i], labels[j]] * kernel[i, j]
    return float(total)


def marginals_by_enumeration(energies: np.ndarray) -> np.ndarray:
    """Go through all labellings with Python's exact sums."""
    labels, n = len(energies), energies.ndim
    lowest = float(energies.min())
    parts: list[list[list[float]]] = [[[] for _ in range(n)] for _ in range(labels)]
    for x in itertools.product(range(labels), repeat=n):
        for i, label in enumerate(x):
            parts[label][i].append(math.exp(lowest - float(energies[x])))
    sums = np.array([[math.fsum(p) for p in row] for row in parts])
    return sums / sums.sum(axis=0)


class Matrix:
    """A kernel given as a matrix, for the library's mean field."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix

    def filter(self, values: np.ndarray, reverse: bool = False) -> np.ndarray:
        """Return the sums over j of matrix[i, j] values[:, j]."""
        return np.einsum("ij,cj->ci", self.matrix, values)


def step_by_library(
    q: np.ndarray, unary: np.ndarray, kernel: np.ndarray, mu: np.ndarray
) -> np.ndarray:
    """One iteration of the library's mean field."""
    return mean_field(unary, [Term(Matrix(kernel), mu)], 1, q)


def free_energy_by_enumeration(
    q: np.ndarray, unary: np.ndarray, kernel: np.ndarray, mu: np.ndarray
) -> float:
    """Average log Q + E over all labellings."""
    total = 0.0
    for x in itertools.product(range(len(q)), repeat=q.shape[1]):
        share = math.prod(float(q[label, i]) for i, label in enumerate(x))
        if share > 0:
            total += share * (math.log(share) + energy_by_pairs(np.array(x), unary, kernel, mu))
    return total


def row_normalised(kernel: np.ndarray) -> np.ndarray:
    """Divide by the row sums."""
    return kernel / kernel.sum(axis=1, keepdims=True)


SURE = np.array([[1.0, 0.0, 0.0, 0.5], [0.0, 1.0, 0.0, 0.5], [0.0, 0.0, 1.0, 0.0]])

TASKS = (
    Task(
        id="9.1",
        function="bilateral_kernel",
        points=2,
        reference=kernel_by_library,
        cases=(
            Case("one grey, position only", (np.full((2, 3, 3), 90.0), 1.5, 20.0), shown=True),
            Case("colours", (random(1, 3, 4, 3), 2.0, 1.3), shown=True),
            Case("bytes", (image(2, 4, 3, 3), 3.0, 60.0)),
            Case("one channel", (random(3, 2, 5, 1), 1.2, 0.8)),
            Case("wide in colour", (random(4, 5, 3, 3), 1.1, 50.0)),
        ),
    ),
    Task(
        id="9.2",
        function="gibbs_energy",
        points=2,
        reference=energy_by_pairs,
        cases=(
            Case(
                "Potts, four pixels",
                (np.array([0, 1, 1, 0]), random(11, 2, 4), coupling(12, 4), potts(2, 3.0)),
                shown=True,
            ),
            Case(
                "any prices",
                (np.array([2, 0, 1, 2, 2]), random(13, 3, 5), coupling(14, 5), prices(15, 3)),
                shown=True,
            ),
            Case(
                "numbers on the diagonal",
                (np.array([1, 1, 0]), random(16, 2, 3), coupling(17, 3) + np.eye(3), prices(18, 2)),
            ),
            Case(
                "all labels equal",
                (np.array([1, 1, 1, 1]), random(19, 3, 4), coupling(20, 4), potts(3, 2.0)),
            ),
            Case("one pixel", (np.array([2]), random(21, 4, 1), np.array([[0.0]]), potts(4, 1.0))),
        ),
    ),
    Task(
        id="9.3",
        function="marginals",
        points=2,
        reference=marginals_by_enumeration,
        cases=(
            Case("two pixels, three labels", (random(31, 3, 3),), shown=True),
            Case("five pixels, two labels", (random(32, 2, 2, 2, 2, 2),), shown=True),
            Case("one pixel", (random(33, 4),)),
            Case("large energies", (1000 + 3 * random(34, 3, 3, 3, 3),)),
            Case("very negative energies", (-2000 + 5 * random(35, 2, 2, 2),)),
            Case("energies from -900 to 900", (np.linspace(900, -900, 9).reshape(3, 3),)),
        ),
    ),
    Task(
        id="9.4",
        function="mean_field_step",
        points=2,
        reference=step_by_library,
        cases=(
            Case(
                "Potts, two labels",
                (beliefs(41, 2, 4), random(42, 2, 4), coupling(43, 4), potts(2, 1.5)),
                shown=True,
            ),
            Case(
                "three labels",
                (beliefs(44, 3, 5), random(45, 3, 5), coupling(46, 5), potts(3, 0.7)),
                shown=True,
            ),
            Case(
                "any prices",
                (beliefs(47, 3, 4), random(48, 3, 4), coupling(49, 4), prices(50, 3)),
            ),
            Case(
                "a kernel divided by its row sums",
                (
                    beliefs(51, 2, 6),
                    random(52, 2, 6),
                    row_normalised(coupling(53, 6) ** 3),
                    potts(2, 2.0),
                ),
            ),
            Case(
                "large energies",
                (beliefs(54, 4, 3), 900 + random(55, 4, 3), coupling(56, 3), potts(4, 1.0)),
            ),
            Case(
                "pixels of very different energies",
                (
                    beliefs(57, 3, 4),
                    random(58, 3, 4) + np.array([0.0, 800.0, -800.0, 1600.0]),
                    coupling(59, 4),
                    potts(3, 1.0),
                ),
            ),
            Case(
                "labels of very different energies",
                (
                    beliefs(60, 3, 4),
                    random(74, 3, 4) + np.array([[0.0], [-900.0], [900.0]]),
                    coupling(75, 4),
                    potts(3, 1.0),
                ),
            ),
        ),
    ),
    Task(
        id="9.5",
        function="free_energy",
        points=2,
        reference=free_energy_by_enumeration,
        cases=(
            Case(
                "Potts, two labels",
                (beliefs(61, 2, 4), random(62, 2, 4), coupling(63, 4), potts(2, 1.5)),
                shown=True,
            ),
            Case(
                "no pairs",
                (beliefs(64, 3, 4), random(65, 3, 4), np.zeros((4, 4)), potts(3, 1.0)),
                shown=True,
            ),
            Case(
                "any prices", (beliefs(66, 3, 4), random(67, 3, 4), coupling(68, 4), prices(69, 3))
            ),
            Case("zeros in Q", (SURE, random(70, 3, 4), coupling(71, 4), potts(3, 0.9))),
            Case(
                "nobody knows",
                (np.full((2, 5), 0.5), random(72, 2, 5), coupling(73, 5), potts(2, 1.0)),
            ),
        ),
    ),
)
