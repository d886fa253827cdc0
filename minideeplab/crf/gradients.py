"""Gradients of a CRF: mean field is run, recorded and walked back with the backend in use.

The definitions are in `minideeplab.ops.crf.gradients` and `minideeplab.ops.crf.kernel_gradients`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minideeplab import backends
from minideeplab.arrays import like, to_host
from minideeplab.backends import to
from minideeplab.crf.kernels import diagonal, diagonal_gradient, kernel_gradient, run_kernel
from minideeplab.crf.pairwise import Pairwise, normalizers_backward
from minideeplab.ops.crf.exact import ExactKernel
from minideeplab.ops.crf.gradients import mean_field_backward
from minideeplab.ops.crf.meanfield import Term, mean_field, softmax


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
    dunary, dmu = mean_field_backward(here, history, dq, visit if kernels else None, run_kernel)
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


def khat_gradient(
    term: Term, normalization: str, features: np.ndarray, a: np.ndarray, q: np.ndarray
) -> np.ndarray:
    """Gradient (D, N) of a^T Khat q with respect to the features, normalisation included."""
    left = a if term.after is None else a * term.after
    right = q if term.before is None else q * term.before
    dself = None if term.diagonal is None else -(left * right).sum(axis=0)
    self_gradient = 0 if dself is None else diagonal_gradient(term.kernel, features, dself)
    if normalization == "none":
        return kernel_gradient(term.kernel, features, left, right) + self_gradient

    forward = run_kernel(term.kernel, right)
    backward = run_kernel(term.kernel, left, reverse=True)
    if term.diagonal is not None:
        own = like(right, diagonal(term.kernel, features))
        forward, backward = forward - own * right, backward - own * left
    dafter, dbefore = (a * forward).sum(axis=0), (q * backward).sum(axis=0)
    dnorm = normalizers_backward(dbefore, dafter, term.before, term.after)  # norm = K 1
    left = np.concatenate([left, dnorm[None]])
    right = np.concatenate([right, np.ones_like(dnorm)[None]])
    return kernel_gradient(term.kernel, features, left, right) + self_gradient
