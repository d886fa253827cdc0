"""Wrong cross-entropies: what is averaged, what is ignored, what is weighted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.testing.mutant import (
    altered,
    backwards,
    forwards,
    right,
    right_backward,
)

cross_entropy = right("cross_entropy")

DEFAULTS = {"weight": None, "ignore_index": -100, "reduction": "mean", "label_smoothing": 0.0}


@dataclass(frozen=True)
class Parts:
    """A call taken apart: per-pixel losses by target and by all classes, weights, what counts."""

    losses: np.ndarray
    smooth: np.ndarray
    weights: np.ndarray
    counted: np.ndarray
    smoothing: float
    reduction: str


def _parts(x: np.ndarray, target: np.ndarray, weight: Any, options: dict[str, Any]) -> Parts:
    """Take a call with class indices apart; all results have the target's shape."""
    axis = min(x.ndim - 1, 1)
    w = np.ones(x.shape[axis]) if weight is None else weight.astype(np.float64)
    logs = np.moveaxis(right("log_softmax")(x.astype(np.float64), dim=axis), axis, -1)
    counted = target != options.get("ignore_index", -100)
    safe = np.where(counted, target, 0)
    picked = np.take_along_axis(logs, safe[..., None], -1)[..., 0]
    return Parts(
        -picked,
        -(logs * w).sum(-1) / logs.shape[-1],
        w[safe],
        counted,
        options.get("label_smoothing", 0.0),
        options.get("reduction", "mean"),
    )


def _reduced(p: Parts, losses: np.ndarray, total: float, dtype: Any) -> np.ndarray:
    losses = np.where(p.counted, losses, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        result = {
            "none": lambda: losses,
            "sum": losses.sum,
            "mean": lambda: np.float64(losses.sum()) / np.float64(total),
        }[p.reduction]()
    return np.asarray(result).astype(dtype)


def _with(losses: Callable[[Parts], np.ndarray], total: Callable[[Parts], Any]) -> Any:
    """Return a cross-entropy with other losses or another divisor, for class indices."""

    def forward(x: np.ndarray, target: np.ndarray, weight: Any = None, **options: Any) -> Any:
        if target.dtype.kind == "f":
            return cross_entropy(x, target, weight, **options)
        p = _parts(x, target, weight, options)
        return _reduced(p, losses(p), total(p), x.dtype)

    return forward


def _losses(p: Parts) -> np.ndarray:
    """Return the right losses: (1 - s) w log-loss + s times the mean over all classes."""
    return (1 - p.smoothing) * p.weights * p.losses + p.smoothing * p.smooth


def _total(p: Parts) -> float:
    return float((p.weights * p.counted).sum())


def _smooth_unweighted(p: Parts) -> np.ndarray:
    return p.weights * (1 - p.smoothing) * p.losses + p.smoothing * p.weights * p.smooth


def _log_of_softmax(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
    axis = min(x.ndim - 1, 1)
    with np.errstate(divide="ignore"):
        return cross_entropy(np.log(right("softmax")(x, dim=axis)), target, *rest, **options)


def _probabilities_taken(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
    return cross_entropy(right("softmax")(x, dim=min(x.ndim - 1, 1)), target, *rest, **options)


def _other_reduction(asked: str, given: str) -> Any:
    return altered("cross_entropy", DEFAULTS, reduction=lambda r: given if r == asked else r)


def _ignore_fixed(index: int) -> Any:
    """Return a cross-entropy that knows no other ignore_index; others count as class 0."""

    def forward(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
        if target.dtype.kind == "i":
            classes = x.shape[min(x.ndim - 1, 1)]
            known = (target == index) | ((target >= 0) & (target < classes))
            target = np.where(known, target, 0)
        return cross_entropy(x, target, *rest, **options | {"ignore_index": index})

    return forward


def _mean_over_classes_too(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
    loss = cross_entropy(x, target, *rest, **options)
    mean = options.get("reduction", "mean") == "mean"
    return (loss / x.shape[min(x.ndim - 1, 1)]).astype(x.dtype) if mean else loss


def _probabilities_to_labels(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
    if target.dtype.kind == "f":
        target = np.asarray(target.argmax(axis=min(x.ndim - 1, 1)))
    return cross_entropy(x, target, *rest, **options)


def _mean_by_weight(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
    loss = cross_entropy(x, target, *rest, **options)
    if target.dtype.kind != "f" or not rest or options.get("reduction", "mean") != "mean":
        return loss
    axis = min(x.ndim - 1, 1)
    weights = np.moveaxis(target, axis, -1) @ rest[0]
    return np.asarray(loss * weights.size / weights.sum(), dtype=x.dtype)


def _in_bits(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
    return (cross_entropy(x, target, *rest, **options) / np.log(2)).astype(x.dtype)


def _nan_guarded(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
    return np.nan_to_num(cross_entropy(x, target, *rest, **options), posinf=np.inf)


def _undivided(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    if options.get("reduction", "mean") != "mean" or arrays[1].dtype.kind == "f":
        return {}
    weight = arrays[2] if len(arrays) > 2 else None
    return {0: given[0] * _total(_parts(arrays[0], arrays[1], weight, options))}


def _by_all_pixels(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    if options.get("reduction", "mean") != "mean" or arrays[1].dtype.kind == "f":
        return {}
    weight = arrays[2] if len(arrays) > 2 else None
    total = _total(_parts(arrays[0], arrays[1], weight, options))
    return {0: given[0] * total / max(1, arrays[1].size)}


def _gradient_without(option: str | None) -> Any:
    """Return a change of dx: that of the loss without an option, or without the weights."""

    def change(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
        sent = arrays if option else arrays[:2]
        kept = {key: value for key, value in options.items() if key != option}
        return {0: right_backward("cross_entropy")(dy, *sent, **kept)[0]}

    return change


def _loss_gradient_ignored(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    return {0: given[0] / dy} if dy.ndim == 0 else {}


def _ignored_not_masked(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    x, target = arrays[:2]
    if target.dtype.kind == "f" or x.size == 0:
        return {}
    axis = min(x.ndim - 1, 1)
    ignored = np.expand_dims(target == options.get("ignore_index", -100), axis)
    return {0: np.where(ignored, right("softmax")(x, dim=axis) / max(1, target.size), given[0])}


CROSS_ENTROPY = forwards(
    "cross_entropy",
    {
        "mean-of-all-pixels": (
            _with(_losses, lambda p: p.counted.size),
            "the mean divides by all pixels, weights and ignored ones included",
        ),
        "mean-counts-ignored": (
            _with(_losses, lambda p: p.weights.sum()),
            "ignored pixels count in the divisor of the mean",
        ),
        "weighted-mean-by-count": (
            _with(_losses, lambda p: p.counted.sum()),
            "the weighted mean divides by the number of pixels, not by weights",
        ),
        "weights-ignored": (
            lambda x, t, w=None, **o: cross_entropy(x, t, None, **o),
            "the class weights are ignored",
        ),
        "smoothing-ignored": (
            altered("cross_entropy", DEFAULTS, label_smoothing=lambda s: 0.0),
            "label_smoothing is ignored",
        ),
        "smoothing-unweighted": (
            _with(_smooth_unweighted, _total),
            "the smoothed part is weighted by the target's class, too",
        ),
        "smoothing-of-others": (
            lambda x, t, *r, **o: cross_entropy(
                x,
                t,
                *r,
                **o
                | {
                    "label_smoothing": min(
                        1.0,
                        o.get("label_smoothing", 0.0)
                        * x.shape[min(x.ndim - 1, 1)]
                        / max(1, x.shape[min(x.ndim - 1, 1)] - 1),
                    )
                },
            ),
            "smoothing is shared by the C - 1 other classes instead of all C",
        ),
        "ignore-255": (_ignore_fixed(255), "255 is always the ignored label"),
        "ignore-minus-100": (_ignore_fixed(-100), "ignore_index is ignored: always -100"),
        "sum-for-mean": (_other_reduction("mean", "sum"), "the sum is returned for the mean"),
        "mean-for-sum": (_other_reduction("sum", "mean"), "the mean is returned for the sum"),
        "mean-for-none": (_other_reduction("none", "mean"), "reduction='none' is averaged"),
        "mean-over-classes": (_mean_over_classes_too, "the mean divides by the classes, too"),
        "log-of-softmax": (
            _log_of_softmax,
            "the logarithm of softmax: infinite where it underflows",
        ),
        "softmax-twice": (
            _probabilities_taken,
            "softmax is applied twice: the scores are taken for logits again",
        ),
        "probabilities-rounded": (
            _probabilities_to_labels,
            "probabilities are replaced by their most probable class",
        ),
        "probabilities-mean-by-weight": (
            _mean_by_weight,
            "with probabilities the weighted mean divides by weights, not pixels",
        ),
        "in-bits": (_in_bits, "the logarithm to base 2"),
        "nan-guarded": (_nan_guarded, "the mean over no pixel is 0 instead of NaN"),
    },
) + backwards(
    "cross_entropy",
    {
        "not-divided": (_undivided, "dx is not divided by the number of pixels"),
        "divided-by-all": (
            _by_all_pixels,
            "dx divides by all pixels, weights and ignored ones included",
        ),
        "weights-ignored": (_gradient_without(None), "dx ignores the class weights"),
        "smoothing-ignored": (_gradient_without("label_smoothing"), "dx ignores label_smoothing"),
        "loss-gradient-ignored": (_loss_gradient_ignored, "the gradient of the loss is ignored"),
        "ignored-not-masked": (_ignored_not_masked, "ignored pixels get a gradient"),
        "dx-zero": (lambda g, dy, a, o: {0: 0 * g[0]}, "dx is all zero"),
    },
)
