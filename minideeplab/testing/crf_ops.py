"""Definitions of gaussian_filter and dense_crf, in the form in which functions are tested.

They are the exact definitions, O(N^2): a lattice or another approximation is judged with
``check_op(..., rtol=...)``, the share of the largest result by which it may be off.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.crf import DenseCRF
from minideeplab.ops.crf.exact import gaussian
from minideeplab.tensor import Tensor, record


def _array(x: Tensor | np.ndarray) -> np.ndarray:
    return x.data if isinstance(x, Tensor) else np.asarray(x)


def _recorded(y: np.ndarray, x: Tensor | np.ndarray, backward: Any) -> Tensor | np.ndarray:
    y = y.astype(_array(x).dtype)
    return record(y, [x], lambda dy, needs: (backward(dy),)) if isinstance(x, Tensor) else y


def gaussian_filter(
    values: Tensor | np.ndarray, features: np.ndarray, normalization: str = "none"
) -> Tensor | np.ndarray:
    """Sum values (C, N) over all points with the weights exp(-|f_i - f_j|^2 / 2), own included.

    ``features`` is (D, N). With n = K 1, ``normalization`` is "none", "before" (K diag(1/n)),
    "after" (diag(1/n) K) or "symmetric" (diag(1/sqrt n) K diag(1/sqrt n)). Returns (C, N).
    """
    x, f = _array(values), np.asarray(features, np.float64)
    weights = gaussian(f, f)
    total = weights.sum(axis=1)
    powers = {"none": (0.0, 0.0), "before": (0.0, -1.0), "after": (-1.0, 0.0),
              "symmetric": (-0.5, -0.5)}  # fmt: skip
    if normalization not in powers:
        raise ValueError(f"normalization must be one of {tuple(powers)}; got {normalization!r}")
    left, right = powers[normalization]
    weights = total[:, None] ** left * weights * total**right
    return _recorded(x @ weights.T, values, lambda dy: (dy @ weights).astype(x.dtype))


def dense_crf(
    unary: Tensor | np.ndarray,
    image: np.ndarray,
    iterations: int = 5,
    gaussian_sxy: float = 3.0,
    gaussian_compat: float = 3.0,
    bilateral_sxy: float = 67.0,
    bilateral_srgb: float = 3.0,
    bilateral_compat: float = 4.0,
    normalization: str = "symmetric",
) -> Tensor | np.ndarray:
    """Run mean field on energies (C, H, W) and an image (H, W, 3); return Q (C, H, W).

    One Gaussian and one bilateral Potts term (Kraehenbuehl and Koltun 2011, section 2), messages
    include the pixel's own as in pydensecrf; a compatibility of zero leaves its term out.
    """
    energies = _array(unary)
    crf = DenseCRF(energies, method="exact")
    if gaussian_compat:
        crf.add_gaussian(gaussian_sxy, gaussian_compat, "const", normalization)
    if bilateral_compat:
        crf.add_bilateral(image, bilateral_sxy, bilateral_srgb, bilateral_compat, "const",
                          normalization)  # fmt: skip
    q = crf.inference(iterations)

    def backward(dy: np.ndarray) -> np.ndarray:
        return crf.gradients(dy, iterations, kernels=False)[1].unary.astype(energies.dtype)

    return _recorded(q, unary, backward)
