"""pydensecrf's CRF classes: the same names, argument order, signs and results.

Positive numbers in ``compat`` attract equal labels (Potts). Vectors and matrices are energies, so
positive ones repel; they must be float32, as in pydensecrf, whose users rely on the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from numbers import Real

import numpy as np

from minideeplab.compat.pydensecrf.eigen import MatrixXf, wrap
from minideeplab.crf.dense import DenseCRF as Core
from minideeplab.crf.potentials import check_grey_values


class KernelType(IntEnum):
    """Which parameters of a kernel learning may change; inference does not depend on it."""

    CONST_KERNEL = 0
    DIAG_KERNEL = 1
    FULL_KERNEL = 2


class NormalizationType(IntEnum):
    """On which side the kernel's sum is divided out."""

    NO_NORMALIZATION = 0
    NORMALIZE_BEFORE = 1
    NORMALIZE_AFTER = 2
    NORMALIZE_SYMMETRIC = 3


CONST_KERNEL, DIAG_KERNEL, FULL_KERNEL = KernelType
NO_NORMALIZATION, NORMALIZE_BEFORE, NORMALIZE_AFTER, NORMALIZE_SYMMETRIC = NormalizationType
_NORMALIZATIONS = ("none", "before", "after", "symmetric")
_KERNELS = ("const", "diag", "full")


class Unary:
    """Unary energies for :meth:`DenseCRF.setUnary`."""

    energies: np.ndarray


class ConstUnary(Unary):
    """Energies (C, N) as they are."""

    def __init__(self, u: np.ndarray):
        self.energies = np.asarray(u, np.float32)


class LogisticUnary(Unary):
    """Energies L f from parameters L (C, F) and features f (F, N)."""

    def __init__(self, L: np.ndarray, f: np.ndarray):
        self.energies = np.asarray(L, np.float32) @ np.asarray(f, np.float32)


class DenseCRF:
    """A dense CRF over ``nvar`` points with ``nlabels`` labels.

    As in pydensecrf, floats are truncated and further arguments are ignored. Raises ValueError for
    counts below 1, and TypeError for counts that are no numbers.
    """

    def __init__(self, nvar: int, nlabels: int, *_: object, **__: object):
        self._core = _new_core(nlabels=nlabels, nvar=nvar)

    def setUnary(self, u: Unary) -> None:
        """Set the unary energies from a :class:`ConstUnary` or :class:`LogisticUnary`."""
        self._core.set_unary(u.energies)

    def setUnaryEnergy(self, u: np.ndarray, f: np.ndarray | None = None) -> None:
        """Set the unary energies (C, N), or L f for parameters ``u`` (C, F) and ``f`` (F, N)."""
        self.setUnary(ConstUnary(u) if f is None else LogisticUnary(u, f))

    def addPairwiseEnergy(
        self,
        features: np.ndarray,
        compat: float | np.ndarray,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add a term with features (D, N), divided by the kernel's widths."""
        self._core.add_pairwise(features, *_options(compat, kernel, normalization))

    def inference(self, niter: int) -> MatrixXf:
        """Run ``niter`` mean-field updates from the unary; return Q (C, N)."""
        return wrap(self._flat(self._core.inference(niter)))

    def startInference(self) -> tuple[MatrixXf, MatrixXf, MatrixXf]:
        """Return the first Q and two scratch matrices (here empty) for :meth:`stepInference`."""
        scratch = np.empty((0, 0), np.float32)
        return wrap(self._flat(self._core.start())), wrap(scratch), wrap(scratch)

    def stepInference(self, Q: MatrixXf, tmp1: MatrixXf, tmp2: MatrixXf) -> None:
        """Update ``Q`` (C, N) in place."""
        Q[...] = self._flat(self._core.step(Q))

    def klDivergence(self, Q: MatrixXf) -> float:
        """Convergence of ``Q``; pydensecrf's value, without log Z and the pairwise factor 1/2."""
        return self._core.kl_divergence(Q)

    def _flat(self, q: np.ndarray) -> np.ndarray:
        return q.reshape(self._core.n_labels, -1)


class DenseCRF2D(DenseCRF):
    """A dense CRF over an image: WIDTH first, then height."""

    def __init__(self, w: int, h: int, nlabels: int, *_: object, **__: object):
        self._core = _new_core(nlabels=nlabels, h=h, w=w)

    def addPairwiseGaussian(
        self,
        sxy: float | Sequence[float],
        compat: float | np.ndarray,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add the smoothness term, ``sxy`` in pixels: a number or (sx, sy)."""
        self._core.add_gaussian(sxy, *_options(compat, kernel, normalization))

    def addPairwiseBilateral(
        self,
        sxy: float | Sequence[float],
        srgb: float | Sequence[float],
        rgbim: np.ndarray,
        compat: float | np.ndarray,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add the appearance term for an RGB image (h, w, 3) with values in 0..255."""
        rgbim = check_grey_values(rgbim, "rgbim")
        if rgbim.ndim != 3 or rgbim.shape[2] != 3:
            raise ValueError(
                f"rgbim must have shape (h, w, 3), got {rgbim.shape}; for other channels use "
                "utils.create_pairwise_bilateral with addPairwiseEnergy"
            )
        self._core.add_bilateral(rgbim, sxy, srgb, *_options(compat, kernel, normalization))


def _new_core(**counts: int) -> Core:
    """Return a CRF without energies; the counts are its shape, the labels first."""
    for name, count in counts.items():
        if not isinstance(count, (Real, np.number)):
            raise TypeError(f"{name} must be an integer, got {type(count).__name__}")
        if not count >= 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
    return Core(np.zeros([int(count) for count in counts.values()], np.float32))


def _options(compat: float | np.ndarray, kernel: int, normalization: int) -> tuple:
    """Translate to the core's (compat, kernel, normalization)."""
    if not isinstance(compat, (Real, list, tuple)):
        compat = np.asarray(compat)
        if compat.ndim and compat.dtype != np.float32:
            raise ValueError(f"compat must be a number or a float32 array, got {compat.dtype}")
    kernel, normalization = KernelType(kernel), NormalizationType(normalization)
    return compat, _KERNELS[kernel], _NORMALIZATIONS[normalization]
