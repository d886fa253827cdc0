"""How a filtered result changes with the features, and so with the widths of a kernel.

Each function differentiates a^T K b, summed over labels, with respect to the features f (D, N).
The lattice is differentiated itself (Kraehenbuehl and Koltun 2013): its barycentric weights are
linear in the features inside a simplex, while corners and neighbours stay as they are. A backend
may export the same functions under the same names ("cuda" does); then its own are called.
"""

from __future__ import annotations

import numpy as np

from minideeplab import backends
from minideeplab.arrays import like
from minideeplab.crf.pairwise import normalizers_backward, raw_diagonal, run_kernel
from minideeplab.ops.crf.exact import ExactKernel
from minideeplab.ops.crf.lattice import Lattice, blur, elevate, elevation_scale, find_simplex, splat
from minideeplab.ops.crf.meanfield import Kernel, Term
from minideeplab.ops.crf.self_term import self_weights_backward


def exact_gradient(features: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Gradient (D, N) of sum_ij a_i k(f_i, f_j) b_j, where dk/df_i = -(f_i - f_j) k."""
    gradient = np.empty(features.shape)
    for rows, kernel in ExactKernel(features).blocks():
        pull = kernel * (a[:, rows].T @ b + b[:, rows].T @ a)
        gradient[:, rows] = features @ pull.T - features[:, rows] * pull.sum(axis=1)
    return gradient


def lattice_gradient(
    lattice: Lattice, features: np.ndarray, a: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """Gradient (D, N) of a^T (alpha S' B S) b through the weights of S on both sides."""
    forward, backward = blur(lattice, splat(lattice, b)), blur(lattice, splat(lattice, a), True)
    dweights = [
        np.einsum("cn,cn->n", a, forward[:, v]) + np.einsum("cn,cn->n", b, backward[:, v])
        for v in lattice.corners
    ]
    return weights_backward(features, lattice.alpha * np.array(dweights))


def weights_backward(features: np.ndarray, dweights: np.ndarray) -> np.ndarray:
    """Gradient (D, N) with respect to features, from that of the barycentric weights (D+1, N)."""
    d, n = features.shape
    _, rank = find_simplex(elevate(features.astype(np.float32)))
    points = np.arange(n)
    delevated = [dweights[d - r, points] - dweights[(d + 1 - r) % (d + 1), points] for r in rank]
    return elevate_backward(np.array(delevated) / (d + 1))


def elevate_backward(delevated: np.ndarray) -> np.ndarray:
    """Adjoint of :func:`elevate`: (D+1, N) to (D, N)."""
    d = len(delevated) - 1
    before = np.cumsum(delevated, axis=0)[:-1]  # sums over e_0 .. e_{j-1}
    steps = np.arange(1, d + 1)[:, None] * delevated[1:]
    return elevation_scale(d)[:, None] * (before - steps)


def kernel_gradient(kernel: Kernel, features: np.ndarray, a: np.ndarray, b: np.ndarray):
    """Gradient (D, N) of a^T K b for either kind of kernel."""
    if isinstance(kernel, ExactKernel):
        return exact_gradient(features, a, b)
    return getattr(backends.current(), "lattice_gradient", lattice_gradient)(kernel, features, a, b)


def khat_gradient(
    term: Term, normalization: str, features: np.ndarray, a: np.ndarray, q: np.ndarray
) -> np.ndarray:
    """Gradient (D, N) of a^T Khat q with respect to the features, normalisation included."""
    left = a if term.after is None else a * term.after
    right = q if term.before is None else q * term.before
    dself = None if term.diagonal is None else -(left * right).sum(axis=0)
    self_gradient = 0 if dself is None else _diagonal_gradient(term.kernel, features, dself)
    if normalization == "none":
        return kernel_gradient(term.kernel, features, left, right) + self_gradient

    heard = run_kernel(term.kernel, right)
    said = run_kernel(term.kernel, left, reverse=True)
    if term.diagonal is not None:
        own = like(right, raw_diagonal(term.kernel, features))
        heard, said = heard - own * right, said - own * left
    dafter, dbefore = (a * heard).sum(axis=0), (q * said).sum(axis=0)
    dnorm = normalizers_backward(dbefore, dafter, term.before, term.after)  # norm = K 1
    left = np.concatenate([left, dnorm[None]])
    right = np.concatenate([right, np.ones_like(dnorm)[None]])
    return kernel_gradient(term.kernel, features, left, right) + self_gradient


def _diagonal_gradient(kernel: Kernel, features: np.ndarray, dself: np.ndarray) -> np.ndarray | int:
    if isinstance(kernel, ExactKernel):
        return 0  # k(f, f) = 1 for every f
    backend = backends.current()
    to_weights = getattr(backend, "self_weights_backward", self_weights_backward)
    to_features = getattr(backend, "weights_backward", weights_backward)
    return to_features(features, to_weights(kernel, dself))
