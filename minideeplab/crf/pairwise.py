"""Pairwise terms as the user states them, and their construction for mean field.

Signs of the compatibility (they are pydensecrf's, and the classic trap):

    number w        Potts: equal labels at similar pixels gain w. Positive attracts.
    vector (C,)     energy of equal labels, one per label. Positive REPELS: w means vector -w.
    matrix (C, C)   energy of each pair of labels, made symmetric. Positive is a penalty.

Normalisation, with n = K 1 the kernel's sum at every pixel:

    none K    before K diag(1/n)    after diag(1/n) K    symmetric diag(1/sqrt n) K diag(1/sqrt n)

The kernel's widths are in the features; ``parameters`` are a further scaling of them which
learning changes: none ("const"), one factor per feature ("diag") or a matrix ("full").
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from minideeplab.crf.kernels import build_kernel, diagonal, run_kernel
from minideeplab.crf.potentials import as_float, check_finite
from minideeplab.ops.crf.meanfield import Term

KERNELS = ("const", "diag", "full")
NORMALIZATIONS = ("none", "before", "after", "symmetric")
TINY = 1e-20  # added to n, as pydensecrf does


@dataclass(frozen=True)
class Pairwise:
    """A pairwise term: features (D, N), compatibility as given, kernel type and normalisation.

    ``parameters`` of the kernel: shape (0,) for "const", (D,) for "diag", (D, D) for "full".
    ``widths`` (D,): by what the features were divided, where that is known.
    """

    features: np.ndarray
    compat: np.ndarray
    kernel: str
    normalization: str
    parameters: np.ndarray
    widths: np.ndarray | None = None

    def scaled_features(self) -> np.ndarray:
        """The features after the kernel's scaling, (D, N)."""
        if self.kernel == "diag":
            return self.parameters[:, None] * self.features
        return self.parameters @ self.features if self.kernel == "full" else self.features


def make_pairwise(
    features: np.ndarray,
    compat: object,
    kernel: str,
    normalization: str,
    n_labels: int,
    widths: np.ndarray | None = None,
) -> Pairwise:
    """Check the pieces of a pairwise term; ValueError or TypeError names what is wrong."""
    if kernel not in KERNELS:
        raise ValueError(f"kernel must be one of {KERNELS}, got {kernel!r}")
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"normalization must be one of {NORMALIZATIONS}, got {normalization!r}")
    compat = check_compat(compat, n_labels, features.dtype)
    d = len(features)
    initial = {"const": np.empty(0), "diag": np.ones(d), "full": np.eye(d)}[kernel]
    return Pairwise(features, compat, kernel, normalization, initial.astype(features.dtype), widths)


def check_compat(compat: object, n_labels: int, dtype: np.dtype) -> np.ndarray:
    """Return a compatibility as an array of shape (), (C,) or (C, C); ValueError otherwise."""
    compat = as_float(compat, "compat")
    if compat.shape not in [(), (n_labels,), (n_labels, n_labels)]:
        raise ValueError(
            f"compat must be a number, a vector of {n_labels} or a {n_labels} x {n_labels} matrix "
            f"for {n_labels} labels, got shape {compat.shape}"
        )
    check_finite(compat, "compat")
    return compat.astype(dtype)


def penalty(compat: np.ndarray) -> np.ndarray:
    """Turn a compatibility into the energy mu of :class:`Term`: Potts changes sign."""
    if compat.ndim == 0:
        return -compat
    return compat if compat.ndim == 1 else (compat + compat.T) / 2


def build_term(pairwise: Pairwise, method: str, self_term: bool = True) -> Term:
    """Build the kernel (``method`` "lattice" or "exact") and its normalisation."""
    features = pairwise.scaled_features()
    kernel = build_kernel(features, method)
    ones = np.ones((1, features.shape[1]), features.dtype)
    norm = run_kernel(kernel, ones)[0]
    before, after = normalizers(norm, pairwise.normalization)

    own = None
    if not self_term:
        own = diagonal(kernel, features)
        for factor in (before, after):
            own = own if factor is None else own * factor
    return Term(kernel, penalty(pairwise.compat), before, after, own)


def normalizers(norm: np.ndarray, mode: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the factors (before, after) of Khat = diag(after) K diag(before) for n = K 1."""
    if mode == "symmetric":
        root = 1 / np.sqrt(norm + norm.dtype.type(TINY))
        return root, root
    whole = 1 / (norm + norm.dtype.type(TINY))
    return (whole if mode == "before" else None), (whole if mode == "after" else None)


def normalizers_backward(
    dbefore: np.ndarray,
    dafter: np.ndarray,
    before: np.ndarray | None,
    after: np.ndarray | None,
) -> np.ndarray:
    """Return the gradient (N,) with respect to n from those of the factors; not for mode "none"."""
    if before is not None and after is not None:
        return -0.5 * (dbefore + dafter) * after**3
    return -dafter * after**2 if before is None else -dbefore * before**2


def with_compat(term: Term, pairwise: Pairwise) -> Term:
    """The same kernel with another compatibility; nothing is rebuilt."""
    return replace(term, compat=penalty(pairwise.compat))
