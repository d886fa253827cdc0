"""Learning a CRF's parameters by L-BFGS through mean field (Kraehenbuehl and Koltun 2013).

The compatibilities and the kernels' scalings are shared by all images; SciPy's L-BFGS maximises the
mean of the images' objectives (section 4). An objective is made for one labelled image and maps
Q (C, H, W) to its value and the gradient dValue/dQ. Pixels whose label is not in 0..C-1 (255, say)
are left out. At least one must be labelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from minideeplab.crf.dense import DenseCRF
from minideeplab.crf.gradients import Gradients

PARTS = ("compat", "kernel")
Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Learned:
    """The outcome of :func:`learn`: ``history`` is the mean objective after every step.

    ``compat`` and ``kernel`` have one array per pairwise term; the CRFs hold the same values.
    """

    history: list[float]
    compat: list[np.ndarray]
    kernel: list[np.ndarray]


def learn(
    crfs: Sequence[DenseCRF],
    objectives: Sequence[Objective],
    iterations: int = 5,
    parts: Sequence[str] = PARTS,
    max_steps: int = 50,
    progress: Callable[[int, float], None] | None = None,
) -> Learned:
    """Fit the pairwise parameters of ``crfs``, one CRF an image, in place; return the outcome.

    Args:
        crfs: CRFs with the same terms in the same order; all start from the first one's values.
        objectives: what to maximise for each image, such as ``log_likelihood(truth)``.
        iterations: mean-field updates.
        parts: "compat" and/or "kernel" (of terms whose kernel is "diag" or "full").
        max_steps: steps of L-BFGS.
        progress: called after every step with its number and the mean objective.

    Raises ValueError for lists that do not match or nothing to learn.
    """
    _check(crfs, objectives, parts)
    history: list[float] = []

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = 0.0, np.zeros_like(x)
        for crf, objective in zip(crfs, objectives, strict=True):
            unpack(crf, x, parts)
            one, gradients = evaluate(crf, objective, iterations, "kernel" in parts)
            value += one / len(crfs)
            slope += pack_gradients(gradients, parts) / len(crfs)
        return -value, -slope

    def after_step(intermediate_result: OptimizeResult) -> None:
        history.append(-float(intermediate_result.fun))
        if progress is not None:
            progress(len(history), history[-1])

    start, options = pack(crfs[0], parts), {"maxiter": max_steps, "ftol": 1e-9, "gtol": 1e-6}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", callback=after_step, options=options)
    for crf in crfs:
        unpack(crf, found.x, parts)
    pairs = crfs[0].pairwise
    return Learned(history, [pair.compat for pair in pairs], [pair.parameters for pair in pairs])


def evaluate(
    crf: DenseCRF, objective: Objective, iterations: int, kernels: bool = True
) -> tuple[float, Gradients]:
    """Return an objective of the CRF's Q and its gradients with respect to the parameters."""
    values: list[float] = []

    def gradient(q: np.ndarray) -> np.ndarray:
        value, dq = objective(q)
        values.append(value)
        return dq

    _, gradients = crf.gradients(gradient, iterations, kernels)
    return values[0], gradients


def pack(crf: DenseCRF, parts: Sequence[str] = PARTS) -> np.ndarray:
    """Return the learnable parameters as one float64 vector: term by term, compat then kernel."""
    return _vector(((pair.compat, pair.parameters) for pair in crf.pairwise), parts)


def pack_gradients(gradients: Gradients, parts: Sequence[str]) -> np.ndarray:
    """Return gradients in the order of :func:`pack`."""
    return _vector(((term.compat, term.kernel) for term in gradients.terms), parts)


def unpack(crf: DenseCRF, vector: np.ndarray, parts: Sequence[str] = PARTS) -> None:
    """Set the parameters of a CRF from a vector of :func:`pack`; rebuild kernels that changed."""
    position = 0
    for k, pair in enumerate(crf.pairwise):
        for part, old in (("compat", pair.compat), ("kernel", pair.parameters)):
            if part not in parts:
                continue
            new = vector[position : position + old.size].reshape(old.shape).astype(crf.dtype)
            position += old.size
            if part == "compat":
                crf.set_compat(k, new)
            elif not np.array_equal(new, old):
                crf.set_kernel(k, new)


def _vector(terms: Iterable[tuple[np.ndarray, ...]], parts: Sequence[str]) -> np.ndarray:
    """Return the chosen parts of (compat, kernel) pairs as one float64 vector."""
    chosen = [a for term in terms for part, a in zip(PARTS, term, strict=True) if part in parts]
    return np.array([value for array in chosen for value in np.ravel(array)], np.float64)


def _check(crfs: Sequence[DenseCRF], objectives: Sequence[Objective], parts: Sequence[str]) -> None:
    if not crfs or len(crfs) != len(objectives):
        raise ValueError(
            "crfs and objectives must be as many, at least one, "
            f"got {len(crfs)} and {len(objectives)}"
        )
    if not set(parts) <= set(PARTS):
        raise ValueError(f"parts must be among {PARTS}, got {tuple(parts)}")
    shapes = [[(p.compat.shape, p.parameters.shape) for p in crf.pairwise] for crf in crfs]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("crfs must have the same pairwise terms with parameters of equal shapes")
    if not pack(crfs[0], parts).size:
        raise ValueError("crfs have no parameters to learn")


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
