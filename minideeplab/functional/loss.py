"""Cross-entropy. Definition: `minideeplab.ops.loss`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from minideeplab.arrays import on_device
from minideeplab.backends import current
from minideeplab.functional.activation import log_softmax
from minideeplab.functional.arguments import (
    Array,
    choice,
    floats,
    integer,
    ndarray,
    number,
    per_channel,
    result,
    wrong_shape,
)
from minideeplab.tensor import Tensor


def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """-log softmax(input) at the target class: input (N, C, d1, ...), (N, C) or (C,) scores.

    target: integer labels (N, d1, ...), where ignore_index does not count, or class probabilities
    of input's shape and dtype. weight (C,) weighs the classes. label_smoothing e spreads a share e
    of the target evenly over all classes. reduction "none" keeps (N, d1, ...), "sum" adds up,
    "mean" divides by the weight of the labels that count (NaN if there are none), or by the number
    of pixels for class probabilities. size_average and reduce are torch's old names for reduction.
    Raises ValueError or TypeError for wrong shapes, dtypes, labels or options.
    """
    x, w = floats(input, weight=weight)
    t = ndarray("target", target)
    if x.ndim < 1:
        raise wrong_shape("input", x, "(C,), (N, C) or (N, C, d1, ...)")
    ignore_index = integer("ignore_index", ignore_index)
    channels = x.shape[0] if x.ndim == 1 else x.shape[1]
    per_channel("weight", w, channels)
    reduction = _reduction(size_average, reduce, reduction)
    smoothing = number("label_smoothing", label_smoothing)
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing: got {smoothing}, expected a number from 0 to 1")
    if t.dtype.kind == "f":
        _check_probabilities(t, x, ignore_index)
    else:
        t = _labels(t, x, channels, ignore_index)
    batch, pixels = (1, 1) if x.ndim == 1 else (len(x), prod(x.shape[2:]))
    scores = input.reshape((batch, channels, pixels))
    if isinstance(target, Tensor) and target.requires_grad:
        loss = _soft_loss(scores, target.reshape(scores.shape), w, reduction, smoothing)
    else:
        t = t.reshape(scores.shape if t.shape == x.shape else (batch, pixels))
        loss = _loss(scores, t, w, ignore_index, reduction, smoothing)
    return loss if reduction != "none" else loss.reshape(x.shape[:1] * (x.ndim > 1) + x.shape[2:])


def _loss(scores: Array, target: np.ndarray, weight: np.ndarray | None, *options: Any) -> Array:
    """The loss of scores (N, C, L), recorded."""
    (x,) = floats(scores)
    backend = current()
    return result(
        backend.cross_entropy(x, target, weight, *options),
        (scores,),
        lambda dy, _: (backend.cross_entropy_backward(dy, x, target, weight, *options),),
    )


def _soft_loss(
    scores: Array, target: Tensor, weight: np.ndarray | None, reduction: str, smoothing: float
) -> Tensor:
    """The loss of scores (N, C, L) with class probabilities that require a gradient."""
    channels = scores.shape[1]
    target = target * (1 - smoothing) + smoothing / channels
    if weight is not None:
        target = target * weight[:, None]
    loss = -(log_softmax(scores, 1) * target).sum(axis=1)
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.mean()


def _reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction, from its own name or from torch's two old flags."""
    if size_average is None and reduce is None:
        return choice("reduction", reduction, ("none", "mean", "sum"))
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def _check_probabilities(target: np.ndarray, x: np.ndarray, ignore_index: int) -> None:
    """Check class probabilities against the scores x."""
    if target.dtype != x.dtype:
        raise TypeError(f"target: got dtype {target.dtype}, expected integers or input's {x.dtype}")
    if target.shape != x.shape:
        raise wrong_shape("target", target, f"{x.shape} for class probabilities (floats)")
    if ignore_index >= 0:
        raise ValueError(
            f"ignore_index: got {ignore_index}, expected none for a target of class probabilities"
        )


def _labels(target: np.ndarray, x: np.ndarray, channels: int, ignore_index: int) -> np.ndarray:
    """Check class labels against the scores x, and widen them to int64."""
    if target.dtype.kind not in "iu":
        raise TypeError(f"target: got dtype {target.dtype}, expected integers or floats")
    expected = x.shape[:1] * (x.ndim > 1) + x.shape[2:]
    if target.shape != expected:
        raise wrong_shape("target", target, f"{expected} for class labels (integers)")
    labels = target.astype(np.int64)
    if on_device(labels):  # reading them would wait for the device; a wrong one gives NaN
        return labels
    wrong = ((labels < 0) | (labels >= channels)) & (labels != ignore_index)
    if wrong.any():
        raise ValueError(
            f"target: got label {labels[wrong][0]}, expected 0 to {channels - 1}, or "
            f"ignore_index {ignore_index}"
        )
    return labels
