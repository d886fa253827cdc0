"""Gradients of a filtered result with respect to the features, and so to a kernel's widths.

Each function differentiates a^T K b, summed over labels, with respect to the features f (D, N).
The lattice is differentiated itself (Kraehenbuehl and Koltun 2013): its barycentric weights are
linear in the features inside a simplex, while corners and neighbours stay as they are.
"""

from __future__ import annotations

import numpy as np

from minideeplab.ops.crf.exact import ExactKernel
from minideeplab.ops.crf.lattice import Lattice, blur, elevate, elevation_scale, find_simplex, splat


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
    return barycentric_backward(features, lattice.alpha * np.array(dweights))


def barycentric_backward(features: np.ndarray, dweights: np.ndarray) -> np.ndarray:
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
