"""Shared by Gaussian filters and CRFs: kernels of all pairs of points and their normalisation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minideeplab.testing.mutant import Function, right

NORMALIZATIONS = ("none", "before", "after", "symmetric")

Kernel = Callable[[np.ndarray], np.ndarray]
"""Weights (N, N) of all pairs of points from their features (D, N)."""


def squared(f: np.ndarray) -> np.ndarray:
    """Return |f - g|^2 of all pairs of points, (N, N), from features (D, N)."""
    return ((f[:, :, None] - f[:, None, :]) ** 2).sum(axis=0)


def gaussian(f: np.ndarray) -> np.ndarray:
    """Return the right weights."""
    return np.exp(-squared(f) / 2)


WRONG_KERNELS: dict[str, tuple[Kernel, str]] = {
    "no-half": (lambda f: np.exp(-squared(f)), "the exponent is -|f - g|^2 without the half"),
    "laplacian": (lambda f: np.exp(-np.sqrt(squared(f))), "the distance is not squared"),
}


def without_self(f: np.ndarray) -> np.ndarray:
    """Return the right weights, but 0 for a point and itself."""
    return gaussian(f) - np.eye(f.shape[1])


def normalised(weights: np.ndarray, how: str) -> np.ndarray:
    """Return weights (N, N) normalised by their row sums as ``how`` asks."""
    total = weights.sum(axis=1)
    total = np.where(total == 0, 1.0, total)
    left, right_ = {"none": (0, 0), "before": (0, -1), "after": (-1, 0),
                    "symmetric": (-0.5, -0.5)}[how]  # fmt: skip
    return total[:, None] ** float(left) * weights * total ** float(right_)


def renamed(op: str, **change: str) -> Function:
    """Return ``op`` with one normalisation taken for another."""
    return right(op).altered(normalization=lambda n: change.get(n, n))


def wrong_normalizations(op: str, unnormalised: str) -> dict[str, tuple[Function, str]]:
    """Return mutants of ``op`` that ignore the normalisation, or confuse its sides."""
    return {
        "unnormalised": (
            renamed(op, before="none", after="none", symmetric="none"), unnormalised),
        "sides-swapped": (renamed(op, before="after", after="before"),
                          "normalising before and after are confused"),
    }  # fmt: skip
