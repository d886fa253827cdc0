"""Objectives of learning, to be maximised (Kraehenbuehl and Koltun 2013, section 4).

Each is made for one labelled image and maps Q (C, H, W) to its value and the gradient dValue/dQ.
Pixels whose label is not in 0..C-1 (255, say) are left out. At least one must be labelled.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


def one_hot(truth: np.ndarray, n_labels: int) -> np.ndarray:
    """Return (C, ...) float64: 1 at the true label, zero columns where none is given.

    Raises ValueError if no pixel is labelled.
    """
    truth = np.asarray(truth)
    hot = np.arange(n_labels).reshape(-1, *[1] * truth.ndim) == truth
    if not hot.any():
        raise ValueError(f"truth must label some pixel with 0..{n_labels - 1}, got none")
    return hot.astype(np.float64)


def log_likelihood(truth: np.ndarray, robust: float = 0.0) -> Objective:
    """Mean over the labelled pixels of log(Q_truth + robust); ``robust`` tempers outliers."""

    def objective(q: np.ndarray) -> tuple[float, np.ndarray]:
        hot = one_hot(truth, len(q))
        count = hot.sum()
        shifted = np.maximum(q + robust, np.finfo(q.dtype).tiny)
        return float((hot * np.log(shifted)).sum() / count), hot / shifted / count

    return objective


def hamming(truth: np.ndarray, class_weights: np.ndarray | None = None) -> Objective:
    """Expected accuracy: mean over the labelled pixels of w_truth Q_truth (default w = 1).

    ``class_weights`` (C,), such as inverse class frequencies, makes rare classes count.
    """

    def objective(q: np.ndarray) -> tuple[float, np.ndarray]:
        hot = one_hot(truth, len(q))
        gradient = hot / hot.sum()
        if class_weights is not None:
            gradient = gradient * np.reshape(class_weights, (-1, *[1] * (q.ndim - 1)))
        return float((gradient * q).sum()), gradient

    return objective


def intersection_over_union(truth: np.ndarray) -> Objective:
    """Mean over the classes present of soft intersection over soft union.

    With in_l the sum of Q_l over pixels of class l, and un_l the number of those plus the sum of
    Q_l over all other labelled pixels.
    """

    def objective(q: np.ndarray) -> tuple[float, np.ndarray]:
        hot = one_hot(truth, len(q))
        pixels = tuple(range(1, q.ndim))
        labelled = hot.any(axis=0)
        inside = (hot * q).sum(axis=pixels, keepdims=True)
        outside = ((labelled - hot) * q).sum(axis=pixels, keepdims=True)
        size = hot.sum(axis=pixels, keepdims=True)
        union = size + outside
        present = (size > 0) / (size > 0).sum()
        share = np.divide(inside, union, out=np.zeros_like(union), where=size > 0)
        slope = np.divide(present, union, out=np.zeros_like(union), where=size > 0)
        gradient = slope * (hot - share * (labelled - hot))
        return float((present * share).sum()), gradient

    return objective
