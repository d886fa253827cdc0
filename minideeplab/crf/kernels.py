"""The kernels of the CRF, computed by the backend in use: filter, diagonal and gradients.

The exact kernel has one implementation, `minideeplab.ops.crf.exact`, whatever the backend.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends import current
from minideeplab.ops.crf.exact import ExactKernel
from minideeplab.ops.crf.kernel_gradients import exact_gradient
from minideeplab.ops.crf.meanfield import Kernel


def build_kernel(features: np.ndarray, method: str) -> Kernel:
    """The Gaussian kernel of features (D, N): on a lattice, or, for ``method="exact"``, itself."""
    return ExactKernel(features) if method == "exact" else current().build_lattice(features)


def run_kernel(kernel: Kernel, values: np.ndarray, reverse: bool = False) -> np.ndarray:
    """K, or its adjoint if ``reverse``, applied to values (C, N)."""
    if isinstance(kernel, ExactKernel):
        return kernel.filter(values, reverse)
    return current().filter_lattice(kernel, values, reverse)


def kernel_gradient(
    kernel: Kernel, features: np.ndarray, a: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """Gradient (D, N) of a^T K b with respect to the features."""
    if isinstance(kernel, ExactKernel):
        return exact_gradient(features, a, b)
    return current().lattice_gradient(kernel, features, a, b)


def diagonal(kernel: Kernel, features: np.ndarray) -> np.ndarray:
    """The diagonal (N,) of K; a Gaussian's own is 1."""
    if isinstance(kernel, ExactKernel):
        return np.ones(features.shape[1], features.dtype)
    return current().lattice_diagonal(kernel)


def diagonal_gradient(
    kernel: Kernel, features: np.ndarray, ddiagonal: np.ndarray
) -> np.ndarray | int:
    """Gradient (D, N) of the diagonal with respect to the features, from that of its values."""
    if isinstance(kernel, ExactKernel):
        return 0  # k(f, f) = 1 for every f
    backend = current()
    return backend.barycentric_backward(
        features, backend.lattice_diagonal_backward(kernel, ddiagonal)
    )
