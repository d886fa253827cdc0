"""The diagonal of the lattice's kernel: what a point receives of its own value.

The paper's messages leave a pixel's own label out (j != i); the lattice's filter does not.
What must be subtracted is K_ii = alpha sum_rs w_r B_rs w_s, over the corners r, s of the point's
simplex.

The corners form a ring: corner r leads to corner r + 1 along one axis, corner D back to corner 0.
The blur steps on each axis at most once, so it gets from corner r to corner s in two ways only:
forward round the ring, or backward over the other axes; each step halves the weight. The steps
happen in the order of the axes, and a way is blocked where one leads to a missing vertex.
"""

from __future__ import annotations

import numpy as np

from minideeplab.ops.crf.lattice import Lattice


def lattice_diagonal(lattice: Lattice) -> np.ndarray:
    """Return the diagonal of K, (N,), in the dtype of the lattice's weights."""
    w, blur = lattice.weights, corner_blur(lattice)
    return (lattice.alpha * np.einsum("rn,rsn,sn->n", w, blur, w)).astype(w.dtype, copy=False)


def lattice_diagonal_backward(lattice: Lattice, ddiagonal: np.ndarray) -> np.ndarray:
    """Return the gradient with respect to the lattice's weights, (D+1, N), from ddiagonal (N,)."""
    w, blur = lattice.weights, corner_blur(lattice)
    both = np.einsum("rsn,sn->rn", blur, w) + np.einsum("srn,sn->rn", blur, w)
    return lattice.alpha * both * ddiagonal


def corner_blur(lattice: Lattice) -> np.ndarray:
    """Return B between the corners of each point's own simplex, (D+1, D+1, N)."""
    size, n = lattice.corners.shape
    axes = ring_axes(lattice)
    blur = np.zeros((size, size, n), lattice.weights.dtype)
    for start in range(size):
        blur[start, start] = 1  # staying
        for length in range(1, size + 1):
            ahead = (start + np.arange(length)) % size
            behind = (start - 1 - np.arange(length)) % size
            blur[start, (start + length) % size] += (
                _walk(lattice, start, axes[ahead], 1) / 2**length
            )
            blur[start, (start - length) % size] += (
                _walk(lattice, start, axes[behind], 0) / 2**length
            )
    return blur


def ring_axes(lattice: Lattice) -> np.ndarray:
    """Return for each point the axes, (D+1, N), that lead from corner r to corner r + 1."""
    following = np.roll(lattice.corners, -1, axis=0)
    leads = [lattice.neighbours[:, 1, here] for here in lattice.corners]  # each (D+1, N)
    return np.array([(to == end).argmax(axis=0) for to, end in zip(leads, following, strict=True)])


def _walk(lattice: Lattice, start: int, axes: np.ndarray, direction: int) -> np.ndarray:
    """Step from corner ``start`` along ``axes`` (L, N), ascending; (N,) True where it arrives."""
    missing = lattice.n_vertices
    place = lattice.corners[start].astype(np.int64)
    for axis, neighbours in enumerate(lattice.neighbours[:, direction]):
        steps = np.flatnonzero((axes == axis).any(axis=0) & (place < missing))
        place[steps] = neighbours[place[steps]]
    return place < missing
