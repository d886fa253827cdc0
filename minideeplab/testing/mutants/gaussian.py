"""Wrong Gaussian filters: the kernel and its normalisation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minideeplab.testing.mutant import Function, altered, backwards, forwards, right

gaussian_filter = right("gaussian_filter")

Kernel = Callable[[np.ndarray], np.ndarray]
"""Weights (N, N) of all pairs of points from their features (D, N)."""


def squared(f: np.ndarray) -> np.ndarray:
    """Return |f - g|^2 of all pairs of points, (N, N), from features (D, N)."""
    return ((f[:, :, None] - f[:, None, :]) ** 2).sum(axis=0)


def gaussian(f: np.ndarray) -> np.ndarray:
    """Return the right weights."""
    return np.exp(-squared(f) / 2)


def no_half(f: np.ndarray) -> np.ndarray:
    """Return weights without the half in the exponent."""
    return np.exp(-squared(f))


def laplacian(f: np.ndarray) -> np.ndarray:
    """Return weights that fall with the distance, not with its square."""
    return np.exp(-np.sqrt(squared(f)))


def without_self(f: np.ndarray) -> np.ndarray:
    """Return the right weights, but 0 for a point and itself."""
    return gaussian(f) - np.eye(f.shape[1])


def _per_dimension(f: np.ndarray) -> np.ndarray:
    return np.exp(-squared(f) / (2 * len(f)))


def _density(f: np.ndarray) -> np.ndarray:
    return gaussian(f) / (2 * np.pi) ** (len(f) / 2)


def normalised(weights: np.ndarray, how: str) -> np.ndarray:
    """Return weights (N, N) normalised by their row sums as ``how`` asks."""
    total = weights.sum(axis=1)
    total = np.where(total == 0, 1.0, total)
    left, right_ = {"none": (0, 0), "before": (0, -1), "after": (-1, 0),
                    "symmetric": (-0.5, -0.5)}[how]  # fmt: skip
    return total[:, None] ** float(left) * weights * total ** float(right_)


def _filter(kernel: Kernel) -> Function:
    """Return the filter with another kernel."""

    def forward(x: np.ndarray, features: np.ndarray, normalization: str = "none") -> np.ndarray:
        weights = normalised(kernel(features.astype(np.float64)), normalization)
        return (x @ weights.T).astype(x.dtype)

    return forward


def _manhattan(f: np.ndarray) -> np.ndarray:
    return np.exp(-np.abs(f[:, :, None] - f[:, None, :]).sum(axis=0) / 2)


def _twice_normalised(
    x: np.ndarray, features: np.ndarray, normalization: str = "none"
) -> np.ndarray:
    if normalization != "symmetric":
        return gaussian_filter(x, features, normalization)
    weights = gaussian(features.astype(np.float64))
    total = weights.sum(axis=1)
    return (x / total @ weights / total).astype(x.dtype)


def renamed(change: dict[str, str], op: str, default: str) -> Function:
    """Return ``op`` with one normalisation taken for another."""
    return altered(op, {"normalization": default}, normalization=lambda n: change.get(n, n))


GAUSSIAN_FILTER = forwards(
    "gaussian_filter",
    {
        "no-half": (_filter(no_half), "the exponent is -|f - g|^2 without the half"),
        "laplacian": (_filter(laplacian), "the distance is not squared"),
        "without-self": (_filter(without_self), "a point's own value is left out"),
        "per-dimension": (_filter(_per_dimension), "the distance is averaged over the features"),
        "density": (_filter(_density), "the kernel is normalised as a probability density"),
        "first-feature": (_filter(lambda f: gaussian(f[:1])), "only the first feature counts"),
        "unnormalised": (
            renamed({"before": "none", "after": "none", "symmetric": "none"},
                           "gaussian_filter", "none"),
            "the normalisation is ignored",
        ),
        "sides-swapped": (
            renamed({"before": "after", "after": "before"}, "gaussian_filter", "none"),
            "normalising before and after are confused",
        ),
        "always-symmetric": (
            renamed({"none": "symmetric"}, "gaussian_filter", "none"),
            "it normalises symmetrically when it should not",
        ),
        "normalised-twice": (
            _twice_normalised, "symmetric normalisation divides by n on both sides, not by sqrt(n)"
        ),
        "manhattan": (_filter(_manhattan), "the distance is the sum of absolute differences"),
        "box": (_filter(lambda f: squared(f) < 1.0), "it is a box: 1 nearer than 1, else 0"),
        "cut-at-2": (
            _filter(lambda f: gaussian(f) * (squared(f) < 4)),
            "the kernel is cut off at 2 standard deviations",
        ),
        "cut-at-3": (
            _filter(lambda f: gaussian(f) * (squared(f) < 9)),
            "the kernel is cut off at 3 standard deviations",
        ),
        "cauchy": (
            _filter(lambda f: 1 / (1 + squared(f))), "the kernel is 1 / (1 + |f - g|^2)"
        ),
        "one-sided": (
            _filter(lambda f: np.tril(gaussian(f))), "a point hears only those before it"
        ),
    },
) + backwards(
    "gaussian_filter",
    {
        "dx-zero": (lambda g, dy, a, o: {0: 0 * g[0]}, "dx is all zero"),
        "dx-unnormalised": (
            lambda g, dy, a, o: {0: gaussian_filter(dy, a[1])}, "dx forgets the normalisation"
        ),
        "dx-not-reversed": (
            lambda g, dy, a, o: {0: gaussian_filter(dy, a[1], **o)},
            "dx filters forwards: before and after must change places",
        ),
    },
)  # fmt: skip
