"""The dense CRF's kernel by brute force: a sum over all pairs of pixels, O(N^2), float64.

    (K v)_i  =  sum_j  k(f_i, f_j) v_j          k(f, g) = exp(-|f - g|^2 / 2)

This is the definition (Kraehenbuehl and Koltun 2011, equation 3) with the features f already
divided by the kernel's widths. ``lattice.py`` approximates the same sum at a cost of O(N); both
have a ``filter`` method, so ``meanfield.py`` runs with either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

BLOCK = 1 << 24  # entries of K held at a time: 128 MiB of float64


def gaussian(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return exp(-|f - g|^2 / 2) for all f in ``left`` (D, R) and g in ``right`` (D, N): (R, N)."""
    distance = sum((f[:, None] - g[None, :]) ** 2 for f, g in zip(left, right, strict=True))
    return np.exp(-distance / 2)


@dataclass(frozen=True)
class ExactKernel:
    """The Gaussian kernel of N points with ``features`` (D, N), in float64."""

    features: np.ndarray

    def filter(self, values: np.ndarray, reverse: bool = False) -> np.ndarray:
        """Return K values for values (C, N). K is symmetric: ``reverse`` changes nothing."""
        filtered = np.empty(values.shape)
        for rows, kernel in self.blocks():
            filtered[:, rows] = values @ kernel.T
        return filtered

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield K as (rows, K[rows]), a few rows at a time unless all of it fits in one block."""
        n = self.features.shape[1]
        if n * n <= BLOCK:
            yield slice(0, n), self.matrix
            return
        size = max(1, BLOCK // n)
        for start in range(0, n, size):
            rows = slice(start, min(start + size, n))
            yield rows, gaussian(self.features[:, rows], self.features)

    @cached_property
    def matrix(self) -> np.ndarray:
        """All of K, (N, N)."""
        return gaussian(self.features, self.features)
