"""Energies of labellings, and how far Q is from the CRF's distribution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minideeplab.crf.kernels import run_kernel
from minideeplab.crf.potentials import check_labels
from minideeplab.ops.crf.meanfield import Term, energy


class Energies:
    """The part of :class:`DenseCRF` that measures; the unary, terms and Q are its own."""

    n_labels: int
    shape: tuple[int, ...]
    unary: np.ndarray
    terms: Sequence[Term]

    def kl_divergence(self, q: np.ndarray | None = None) -> float:
        """pydensecrf's measure of convergence: sum of Q log Q + U Q + Q (mu Khat Q).

        It leaves out log Z, so it may be negative, and the factor 1/2 of the pairwise part; see
        :meth:`free_energy` for the quantity with it.
        """
        entropy, unary, pairwise = self._expectations(q)
        return entropy + unary + pairwise

    def free_energy(self, q: np.ndarray | None = None) -> float:
        """KL(Q || P) up to the constant log Z: what the mean-field update makes stationary."""
        entropy, unary, pairwise = self._expectations(q)
        return entropy + unary + pairwise / 2

    def unary_energy(self, labels: np.ndarray) -> np.ndarray:
        """The unary energy of a labelling (H, W) at every pixel, (H, W)."""
        labels = check_labels(labels, self.shape, self.n_labels).ravel()
        return np.take_along_axis(self.unary, labels[None], 0).reshape(self.shape)

    def pairwise_energy(self, labels: np.ndarray, term: int | None = None) -> np.ndarray:
        """The energy of each pixel's links to all others under a labelling, of one term or all."""
        labels = check_labels(labels, self.shape, self.n_labels).ravel()
        q = (np.arange(self.n_labels)[:, None] == labels).astype(self.unary.dtype)  # one-hot (C, N)
        terms = self.terms if term is None else [self.terms[term]]
        return (q * energy(np.zeros_like(q), terms, q, run_kernel)).sum(axis=0).reshape(self.shape)

    def energy(self, labels: np.ndarray) -> float:
        """The Gibbs energy E(x) of a labelling; each pair is counted once."""
        pairs = self.pairwise_energy(labels).sum(dtype=np.float64) / 2
        return float(self.unary_energy(labels).sum(dtype=np.float64) + pairs)

    def _expectations(self, q: np.ndarray | None) -> tuple[float, float, float]:
        q = self._flat(self.q if q is None else q)
        wide = q.astype(np.float64)
        entropy = np.sum(wide * np.log(np.maximum(wide, 1e-20)))
        unary = np.sum(wide * np.where(wide > 0, self.unary, 0))  # 0 times infinity is 0 here
        pairwise = np.sum(wide * energy(np.zeros_like(q), self.terms, q, run_kernel))
        return float(entropy), float(unary), float(pairwise)
