"""Gradients through mean field: of any loss of Q, with respect to all that went into the CRF.

One update is  E = U + sum_k mu_k Khat_k Q,  Q' = softmax(-E).  Walking the updates back
(Kraehenbuehl and Koltun 2013, section 3), each hands dE to the unary, to the compatibilities,
through Khat' to the Q before it, and to the features of the kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise as successive

import numpy as np

from minideeplab.ops.activation import softmax_backward
from minideeplab.ops.crf.meanfield import Term, apply_compat, apply_kernel, run_filter

Visit = Callable[[int, np.ndarray, np.ndarray], None]


def mean_field_backward(
    terms: Sequence[Term],
    history: Sequence[np.ndarray],
    dq: np.ndarray,
    visit: Visit | None = None,
    run: Callable = run_filter,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Walk mean field back from ``dq``, the gradient of the last Q of ``history``.

    Returns the gradients of the unary (C, N) and of each term's mu, in its shape. ``run`` does the
    filtering.
    """
    dunary = np.zeros_like(dq)
    dmu = [np.zeros_like(term.compat) for term in terms]
    for q, updated in reversed(list(successive(history))):
        denergy = -softmax_backward(dq, updated, 0)
        dunary += denergy
        dq, more = energy_backward(terms, q, denergy, visit, run)
        dmu = [a + b for a, b in zip(dmu, more, strict=True)]
    return dunary - softmax_backward(dq, history[0], 0), dmu


def energy_backward(
    terms: Sequence[Term],
    q: np.ndarray,
    denergy: np.ndarray,
    visit: Visit | None = None,
    run: Callable = run_filter,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Adjoint of E = U + sum_k mu_k Khat_k q: the gradients of q, (C, N), and of each mu.

    ``visit(k, dmessage, q)`` is called with the gradient of every message Khat_k q.
    """
    dq, dmu = np.zeros_like(q), []
    for k, term in enumerate(terms):
        message = apply_kernel(term, q, run=run)
        dmu.append(compat_backward(denergy, message, term.compat.ndim))
        dmessage = apply_compat(term.compat.T, denergy)
        dq += apply_kernel(term, dmessage, reverse=True, run=run)
        if visit is not None:
            visit(k, dmessage, q)
    return dq, dmu


def compat_backward(denergy: np.ndarray, message: np.ndarray, ndim: int) -> np.ndarray:
    """Gradient of mu, with ``ndim`` axes, from dE (C, N) where E = mu message."""
    if ndim == 2:
        return denergy @ message.T
    diagonal = (denergy * message).sum(axis=1)
    return diagonal if ndim == 1 else diagonal.sum()
