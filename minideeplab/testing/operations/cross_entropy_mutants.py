"""Wrong cross-entropies: what is averaged, ignored and weighted, and what labels mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, right, right_backward
from minideeplab.testing.operations.products import DX_ZERO
from minideeplab.testing.operations.scores import class_axis, log_shares

cross_entropy, softmax = right("cross_entropy"), right("softmax")


def _probabilities(x: np.ndarray) -> np.ndarray:
    return softmax(x, dim=class_axis(x.ndim))


@dataclass(frozen=True)
class Parts:
    """A call with labels taken apart: losses by target and by all classes, weights, what counts."""

    losses: np.ndarray
    smooth: np.ndarray
    weights: np.ndarray
    counted: np.ndarray
    smoothing: float

    @property
    def right(self) -> np.ndarray:
        """Return the losses: (1 - s) w log-loss + s times the mean over all classes."""
        return (1 - self.smoothing) * self.weights * self.losses + self.smoothing * self.smooth

    @property
    def total(self) -> float:
        """Return what the mean divides by."""
        return float((self.weights * self.counted).sum())


def _parts(x: np.ndarray, target: np.ndarray, weight: Any = None, **options: Any) -> Parts:
    """Take a call with class indices apart; all results have the target's shape."""
    axis = class_axis(x.ndim)
    w = np.ones(x.shape[axis]) if weight is None else weight.astype(np.float64)
    logs = np.moveaxis(log_shares(x.astype(np.float64), dim=axis), axis, -1)
    counted = target != options.get("ignore_index", -100)
    safe = np.where(counted, target, 0)
    losses = -np.take_along_axis(logs, safe[..., None], -1)[..., 0]
    smooth = -(logs * w).sum(-1) / logs.shape[-1]
    return Parts(losses, smooth, w[safe], counted, options.get("label_smoothing", 0.0))


def _with(
    total: Callable[[Parts], Any], losses: Callable[[Parts], np.ndarray] = lambda parts: parts.right
) -> Function:
    """Return a cross-entropy with another divisor or other losses, for class indices."""

    def forward(x: np.ndarray, target: np.ndarray, *weight: Any, **options: Any) -> Any:
        if target.dtype.kind == "f":
            return cross_entropy(x, target, *weight, **options)
        parts, reduction = _parts(x, target, *weight, **options), options.get("reduction", "mean")
        each = np.where(parts.counted, losses(parts), 0.0)
        if reduction == "none":
            return each.astype(x.dtype)
        divisor = np.float64(total(parts) if reduction == "mean" else 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.float64(each.sum()) / divisor).astype(x.dtype)

    return forward


def _relabelled(change: Callable[..., np.ndarray]) -> Function:
    """Return a cross-entropy of labels changed by ``change(labels, classes, counted)``."""

    def sent(x: np.ndarray, target: np.ndarray, *weight: Any, **options: Any) -> Any:
        if target.dtype.kind != "f":
            counted = target != options.get("ignore_index", -100)
            target = change(target, x.shape[class_axis(x.ndim)], counted)
        return x, target, *weight

    return cross_entropy.before(sent)


def _ignored_is(index: int) -> Function:
    """Return a cross-entropy that knows no other ignore_index; others count as class 0."""

    def known(target: np.ndarray, classes: int, counted: np.ndarray) -> np.ndarray:
        return np.where((target == index) | ((target >= 0) & (target < classes)), target, 0)

    changed = _relabelled(known)
    return lambda *arrays, **options: changed(*arrays, **options | {"ignore_index": index})


def _scores(change: Callable[[np.ndarray], np.ndarray]) -> Function:
    """Return a cross-entropy of changed scores."""
    return cross_entropy.before(lambda x, *rest, **options: (change(x), *rest))


def _scaled(factor: Callable[..., Any]) -> Function:
    """Return a cross-entropy whose mean is multiplied by ``factor(x, target, *weight)``."""

    def changed(loss: Any, *arrays: Any, reduction: str = "mean", **options: Any) -> Any:
        if reduction != "mean" or not arrays[0].size:
            return loss
        return np.asarray(loss * factor(*arrays)).astype(arrays[0].dtype)

    return cross_entropy.after(changed)


def _per_weight(x: np.ndarray, target: np.ndarray, *weight: Any) -> float:
    if target.dtype.kind != "f" or not weight:
        return 1.0
    weights = np.moveaxis(target, class_axis(x.ndim), -1) @ weight[0]
    return weights.size / weights.sum()


def _other_reduction(asked: str, given: str) -> Function:
    return cross_entropy.altered(reduction=lambda r: given if r == asked else r)


def _first_class_ignored(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
    if target.dtype.kind != "f":
        target = np.where(target == 0, options.get("ignore_index", -100), target)
    return x, target, *rest


def _to_labels(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
    if target.dtype.kind == "f":
        target = np.asarray(target.argmax(axis=class_axis(x.ndim)))
    return x, target, *rest


def _log_of_softmax(x: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(_probabilities(x))


def _mean_over_images(x: np.ndarray, *rest: Any, **options: Any) -> Any:
    if options.get("reduction", "mean") != "mean" or not x.size:
        return cross_entropy(x, *rest, **options)
    total = cross_entropy(x, *rest, **options | {"reduction": "sum"})
    return np.asarray(total / (len(x) if x.ndim > 1 else 1)).astype(x.dtype)


def _smoothing_of_others(x: np.ndarray, *rest: Any, **options: Any) -> np.ndarray:
    classes = x.shape[class_axis(x.ndim)]
    share = options.get("label_smoothing", 0.0) * classes / max(1, classes - 1)
    return cross_entropy(x, *rest, **options | {"label_smoothing": min(1.0, share)})


FORWARD = {
    "mean-of-all-pixels": (_with(lambda p: p.counted.size),
                           "the mean divides by all pixels, weights and ignored ones included"),
    "mean-counts-ignored": (_with(lambda p: p.weights.sum()),
                            "ignored pixels count in the divisor of the mean"),
    "weighted-mean-by-count": (_with(lambda p: p.counted.sum()),
                               "the weighted mean divides by the number of pixels, not by weights"),
    "weights-ignored": (cross_entropy.before(lambda x, target, *weight, **o: (x, target)),
                        "the class weights are ignored"),
    "smoothing-ignored": (cross_entropy.without("label_smoothing"), "label_smoothing is ignored"),
    "smoothing-unweighted": (
        _with(lambda p: p.total,
              lambda p: p.weights * ((1 - p.smoothing) * p.losses + p.smoothing * p.smooth)),
        "the smoothed part is weighted by the target's class, too"),
    "smoothing-of-others": (_smoothing_of_others,
                            "smoothing is shared by the C - 1 other classes instead of all C"),
    "ignore-255": (_ignored_is(255), "255 is always the ignored label"),
    "ignore-minus-100": (_ignored_is(-100), "ignore_index is ignored: always -100"),
    "sum-for-mean": (_other_reduction("mean", "sum"), "the sum is returned for the mean"),
    "mean-for-sum": (_other_reduction("sum", "mean"), "the mean is returned for the sum"),
    "mean-for-none": (_other_reduction("none", "mean"), "reduction='none' is averaged"),
    "mean-over-classes": (_scaled(lambda x, *rest: 1 / x.shape[class_axis(x.ndim)]),
                          "the mean divides by the classes, too"),
    "log-of-softmax": (_scores(_log_of_softmax),
                       "the logarithm of softmax: infinite where it underflows"),
    "softmax-twice": (_scores(_probabilities),
                      "softmax is applied twice: the scores are taken for logits again"),
    "probabilities-rounded": (cross_entropy.before(_to_labels),
                              "probabilities are replaced by their most probable class"),
    "probabilities-mean-by-weight": (
        _scaled(_per_weight),
        "with probabilities the weighted mean divides by weights, not pixels"),
    "in-bits": (cross_entropy.after(lambda loss, x, *r, **o: (loss / np.log(2)).astype(x.dtype)),
                "the logarithm to base 2"),
    "nan-guarded": (cross_entropy.after(lambda loss, *r, **o: np.nan_to_num(loss, posinf=np.inf)),
                    "the mean over no pixel is 0 instead of NaN"),
    "ignored-first": (_relabelled(lambda t, c, counted: np.where(counted, t, 0)),
                      "ignored pixels count, as class 0"),
    "ignored-last": (_relabelled(lambda t, c, counted: np.where(counted, t, c - 1)),
                     "ignored pixels count, as the last class"),
    "labels-from-one": (_relabelled(lambda t, c, counted: np.where(counted, (t - 1) % c, t)),
                        "labels are counted from 1: each means the class before"),
    "labels-shifted": (_relabelled(lambda t, c, counted: np.where(counted, (t + 1) % c, t)),
                       "each label means the next one"),
    "mean-over-images": (_mean_over_images, "the mean divides by the images, not by the pixels"),
    "first-class-ignored": (cross_entropy.before(_first_class_ignored), "class 0 is ignored, too"),
}  # fmt: skip


def _times(divisor: Callable[[Parts], float]) -> Any:
    """Return a change of dx: the mean of labels divides by something else."""

    def change(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> Any:
        if options.get("reduction", "mean") != "mean" or arrays[1].dtype.kind == "f":
            return {}
        parts = _parts(*arrays, **options)
        return given[0] * parts.total / divisor(parts)

    return change


def _gradient_without(option: str | None) -> Any:
    """Return a change of dx: that of the loss without an option, or without the weights."""

    def change(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> Any:
        kept = {key: value for key, value in options.items() if key != option}
        return right_backward("cross_entropy")(dy, *(arrays if option else arrays[:2]), **kept)[0]

    return change


def _of_labels(change: Callable[..., np.ndarray]) -> Any:
    """Return a change of dx by ``change(dx, dy, y, counted, mean)`` where the target is labels.

    y is the softmax, ``counted`` what is not ignored, with a class axis, ``mean`` whether it is
    the reduction.
    """

    def changed(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> Any:
        x, target = arrays[:2]
        if target.dtype.kind == "f" or not x.size:
            return {}
        ignored = target == options.get("ignore_index", -100)
        counted = np.expand_dims(~ignored, class_axis(x.ndim))
        return change(given[0], dy, _probabilities(x), counted, options.get("reduction", "mean"))

    return changed


def _target_forgotten(dx: Any, dy: Any, y: Any, counted: np.ndarray, reduction: str) -> Any:
    if reduction == "none":
        return dx
    return dy * counted * y / (counted.sum() if reduction == "mean" else 1)


BACKWARD = {
    "not-divided": (_times(lambda p: 1), "dx is not divided by the number of pixels"),
    "divided-by-all": (_times(lambda p: max(1, p.counted.size)),
                       "dx divides by all pixels, weights and ignored ones included"),
    "weights-ignored": (_gradient_without(None), "dx ignores the class weights"),
    "smoothing-ignored": (_gradient_without("label_smoothing"), "dx ignores label_smoothing"),
    "loss-gradient-ignored": (lambda g, dy, a, o: g[0] / dy if dy.ndim == 0 else {},
                              "the gradient of the loss is ignored"),
    "ignored-not-masked": (
        _of_labels(lambda dx, dy, y, counted, r: np.where(counted, dx, y / max(1, counted.size))),
        "ignored pixels get a gradient"),
    "dx-zero": DX_ZERO,
    "target-forgotten": (_of_labels(_target_forgotten),
                         "dx is the probabilities: the target is not subtracted"),
}  # fmt: skip
