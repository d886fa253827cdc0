"""Gradients through mean field: of any loss of Q, with respect to all that went into the CRF.

One update is  E = U + sum_k mu_k Khat_k Q,  Q' = softmax(-E).  Walking the updates back
(Kraehenbuehl and Koltun 2013, section 3), each hands dE to the unary, to the compatibilities,
through Khat' to the Q before it, and to the features of the kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise as successive

import numpy as np

from minideeplab import backends
from minideeplab.arrays import to, to_host
from minideeplab.crf.pairwise import Pairwise, run_kernel
from minideeplab.ops.crf.exact import ExactKernel
from minideeplab.ops.crf.kernel_gradients import khat_gradient
from minideeplab.ops.crf.meanfield import Term, apply_compat, apply_kernel, mean_field, softmax

Visit = Callable[[int, np.ndarray, np.ndarray], None]


@dataclass(frozen=True)
class TermGradients:
    """Gradients of one pairwise term, each shaped as what it belongs to.

    ``compat``: as given to ``add_*`` (for a matrix, through its symmetric part). ``weight``: a
    factor on the whole term. ``kernel``: the kernel's parameters, (0,), (D,) or (D, D).
    ``widths`` (D,): the widths of the features, sxy and srgb, one by one; None if unknown.
    """

    compat: np.ndarray
    weight: float
    kernel: np.ndarray
    widths: np.ndarray | None


@dataclass(frozen=True)
class Gradients:
    """Gradients with respect to the unary, in its shape, and to every pairwise term in order."""

    unary: np.ndarray
    terms: list[TermGradients]


def mean_field_history(
    unary: np.ndarray, terms: Sequence[Term], iterations: int
) -> list[np.ndarray]:
    """Return Q before the first update and after each of ``iterations``: n + 1 arrays (C, N)."""
    exact = any(isinstance(term.kernel, ExactKernel) for term in terms)
    run = mean_field if exact else backends.current().mean_field
    history = [softmax(-unary)]
    for _ in range(iterations):
        history.append(run(unary, terms, 1, history[-1]))
    return history


def softmax_backward(dq: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Gradient (C, N) with respect to the scores of q = softmax(scores)."""
    return q * (dq - (q * dq).sum(axis=0))


def mean_field_backward(
    terms: Sequence[Term],
    history: Sequence[np.ndarray],
    dq: np.ndarray,
    visit: Visit | None = None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Walk mean field back from ``dq``, the gradient of the last Q of ``history``.

    Returns the gradients of the unary (C, N) and of each term's mu, in its shape.
    """
    dunary = np.zeros_like(dq)
    dmu = [np.zeros_like(term.compat) for term in terms]
    for q, updated in reversed(list(successive(history))):
        denergy = -softmax_backward(dq, updated)
        dunary += denergy
        dq, more = energy_backward(terms, q, denergy, visit)
        dmu = [a + b for a, b in zip(dmu, more, strict=True)]
    return dunary - softmax_backward(dq, history[0]), dmu


def energy_backward(
    terms: Sequence[Term], q: np.ndarray, denergy: np.ndarray, visit: Visit | None = None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Adjoint of E = U + sum_k mu_k Khat_k q: the gradients of q, (C, N), and of each mu.

    ``visit(k, dmessage, q)`` is called with the gradient of every message Khat_k q.
    """
    dq, dmu = np.zeros_like(q), []
    for k, term in enumerate(terms):
        message = apply_kernel(term, q, run=run_kernel)
        dmu.append(compat_backward(denergy, message, term.compat.ndim))
        dmessage = apply_compat(term.compat.T, denergy)
        dq += apply_kernel(term, dmessage, reverse=True, run=run_kernel)
        if visit is not None:
            visit(k, dmessage, q)
    return dq, dmu


def compat_backward(denergy: np.ndarray, message: np.ndarray, ndim: int) -> np.ndarray:
    """Gradient of mu, with ``ndim`` axes, from dE (C, N) where E = mu message."""
    if ndim == 2:
        return denergy @ message.T
    diagonal = (denergy * message).sum(axis=1)
    return diagonal if ndim == 1 else diagonal.sum()


def crf_gradients(
    unary: np.ndarray,
    pairwise: Sequence[Pairwise],
    terms: Sequence[Term],
    iterations: int,
    loss_gradient: Callable[[np.ndarray], np.ndarray],
    kernels: bool = True,
) -> tuple[np.ndarray, Gradients]:
    """Run ``iterations`` updates and differentiate; see :meth:`DenseCRF.gradients`.

    ``unary`` and Q are (C, N); ``loss_gradient`` maps the last Q to dLoss/dQ.
    """
    device = _device(terms)
    here = [_moved(term, device) for term in terms]
    scaled = [to(pair.scaled_features(), device) for pair in pairwise]
    dfeatures = [np.zeros_like(features) for features in scaled]

    def visit(k: int, dmessage: np.ndarray, q: np.ndarray) -> None:
        mode = pairwise[k].normalization
        dfeatures[k] += khat_gradient(here[k], mode, scaled[k], dmessage, q)

    history = mean_field_history(to(unary, device), here, iterations)
    q = to_host(history[-1])
    dq = to(loss_gradient(q), device)
    dunary, dmu = mean_field_backward(here, history, dq, visit if kernels else None)
    dmu, dfeatures = (list(map(to_host, arrays)) for arrays in (dmu, dfeatures))
    parts = [_term_gradients(*part) for part in zip(pairwise, terms, dmu, dfeatures, strict=True)]
    return q, Gradients(to_host(dunary), parts)


def _device(terms: Sequence[Term]) -> str:
    """Where the gradients are computed: on the GPU if it is in use and no kernel is exact."""
    exact = any(isinstance(term.kernel, ExactKernel) for term in terms)
    return "cuda" if backends.current_name() == "cuda" and not exact else "cpu"


def _moved(term: Term, device: str) -> Term:
    """The term with its arrays on a device; the kernel looks after its own."""
    names = ("compat", "before", "after", "diagonal")
    arrays = {name: getattr(term, name) for name in names}
    return replace(term, **{k: a if a is None else to(a, device) for k, a in arrays.items()})


def _term_gradients(
    pair: Pairwise, term: Term, dmu: np.ndarray, dfeatures: np.ndarray
) -> TermGradients:
    if pair.compat.ndim == 0:
        dcompat = -dmu  # Potts: mu = -w
    else:
        dcompat = dmu if pair.compat.ndim == 1 else (dmu + dmu.T) / 2
    return TermGradients(
        compat=dcompat,
        weight=float(np.sum(dmu * term.compat)),
        kernel=kernel_parameters_backward(pair, dfeatures),
        widths=widths_backward(pair, dfeatures),
    )


def kernel_parameters_backward(pair: Pairwise, dfeatures: np.ndarray) -> np.ndarray:
    """Gradient of the kernel's parameters from that of its scaled features (D, N)."""
    if pair.kernel == "diag":
        return (dfeatures * pair.features).sum(axis=1)
    return dfeatures @ pair.features.T if pair.kernel == "full" else np.empty(0)


def widths_backward(pair: Pairwise, dfeatures: np.ndarray) -> np.ndarray | None:
    """Gradient (D,) of the widths by which the features were divided: df/dwidth = -f/width."""
    if pair.widths is None:
        return None
    if pair.kernel == "diag":
        dfeatures = pair.parameters[:, None] * dfeatures
    elif pair.kernel == "full":
        dfeatures = pair.parameters.T @ dfeatures
    return -(dfeatures * pair.features).sum(axis=1) / pair.widths
