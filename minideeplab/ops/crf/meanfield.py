"""Mean-field inference in a fully connected CRF (Kraehenbuehl and Koltun 2011, algorithm 1).

    Q = softmax(-U)
    repeat:   Q = softmax(-U - sum_k mu_k Khat_k Q)         Khat = diag(after) K diag(before)

All pixels are updated at once. U, the unary energies, and Q have shape (C, N): labels, pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Kernel(Protocol):
    """A linear filter over the pixels: the lattice, or the exact Gaussian."""

    def filter(self, values: np.ndarray, reverse: bool = False) -> np.ndarray:
        """Apply K, or its adjoint, to values (C, N)."""


@dataclass(frozen=True)
class Term:
    """One pairwise term of the energy.

    ``compat`` is the label compatibility mu, an energy: positive entries are penalties. Its shape
    is () for mu times the identity (Potts with weight w has mu = -w), (C,) for a diagonal, (C, C)
    for a matrix. ``before`` and ``after``, (N,) or None, normalise the kernel.
    ``diagonal``, (N,) or None, is the diagonal of Khat, the message of a pixel to itself; it is
    subtracted from the messages if given.
    """

    kernel: Kernel
    compat: np.ndarray
    before: np.ndarray | None = None
    after: np.ndarray | None = None
    diagonal: np.ndarray | None = None


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return exp(scores) / sum over labels, for scores (C, N); the maximum is subtracted first."""
    weights = np.exp(scores - scores.max(axis=0))
    return weights / weights.sum(axis=0)


def run_filter(kernel: Kernel, values: np.ndarray, reverse: bool = False) -> np.ndarray:
    """Apply a kernel by its own definition."""
    return kernel.filter(values, reverse)


def apply_kernel(
    term: Term, q: np.ndarray, reverse: bool = False, run: Callable = run_filter
) -> np.ndarray:
    """Return Khat q, or Khat' q if ``reverse``, for q (C, N); ``run`` does the filtering."""
    first, last = (term.after, term.before) if reverse else (term.before, term.after)
    filtered = run(term.kernel, q if first is None else q * first, reverse)
    if last is not None:
        filtered = filtered * last
    return filtered if term.diagonal is None else filtered - term.diagonal * q


def apply_compat(compat: np.ndarray, message: np.ndarray) -> np.ndarray:
    """Return mu message for a message (C, N) and mu of shape (), (C,) or (C, C)."""
    if compat.ndim == 2:
        return compat @ message
    return compat[..., None] * message


def energy(
    unary: np.ndarray, terms: Sequence[Term], q: np.ndarray, run: Callable = run_filter
) -> np.ndarray:
    """Return E = U + sum_k mu_k Khat_k q, (C, N): the energy of each label given all others."""
    for term in terms:
        unary = unary + apply_compat(term.compat, apply_kernel(term, q, run=run))
    return unary


def mean_field(
    unary: np.ndarray, terms: Sequence[Term], iterations: int, q: np.ndarray | None = None
) -> np.ndarray:
    """Run ``iterations`` updates from ``q`` (default softmax(-unary)); return Q (C, N).

    The result has the dtype of ``unary``, its columns sum to 1. No iterations return the start.
    """
    q = softmax(-unary) if q is None else q
    for _ in range(iterations):
        q = softmax(-energy(unary, terms, q)).astype(unary.dtype, copy=False)
    return q
