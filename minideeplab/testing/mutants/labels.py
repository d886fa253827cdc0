"""Wrong cross-entropies in what they take the labels for: counted from 1, ignored ones counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, backwards, forwards, right

cross_entropy = right("cross_entropy")


def _labels(change: Callable[[np.ndarray, int], np.ndarray], ignored: bool = False) -> Function:
    """Return cross_entropy with the labels changed, the ignored ones or all others."""

    def forward(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
        if target.dtype.kind != "f":
            chosen = (target == options.get("ignore_index", -100)) == ignored
            target = np.where(chosen, change(target, x.shape[min(x.ndim - 1, 1)]), target)
        return cross_entropy(x, target, *rest, **options)

    return forward


def _first_class_ignored(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
    if target.dtype.kind != "f":
        target = np.where(target == 0, options.get("ignore_index", -100), target)
    return cross_entropy(x, target, *rest, **options)


def _target_forgotten(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    """Return dx made of the probabilities alone, or as given with probability targets."""
    x, target = arrays[:2]
    if target.dtype.kind == "f" or options.get("reduction", "mean") == "none" or not x.size:
        return {}
    counted = np.expand_dims(target != options.get("ignore_index", -100), min(x.ndim - 1, 1))
    total = counted.sum() if options.get("reduction", "mean") == "mean" else 1
    return {0: dy * counted * right("softmax")(x, dim=min(x.ndim - 1, 1)) / total}


def _mean_over_images(x: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
    if options.get("reduction", "mean") != "mean" or not x.size:
        return cross_entropy(x, target, *rest, **options)
    images = len(x) if x.ndim > 1 else 1
    total = cross_entropy(x, target, *rest, **options | {"reduction": "sum"})
    return np.asarray(total / images).astype(x.dtype)


LABELS = forwards(
    "cross_entropy",
    {
        "ignored-first": (
            _labels(lambda t, c: 0 * t, ignored=True),
            "ignored pixels count, as class 0",
        ),
        "ignored-last": (
            _labels(lambda t, c: 0 * t + c - 1, ignored=True),
            "ignored pixels count, as the last class",
        ),
        "labels-from-one": (
            _labels(lambda t, c: (t - 1) % c),
            "labels are counted from 1: each means the class before",
        ),
        "labels-shifted": (_labels(lambda t, c: (t + 1) % c), "each label means the next one"),
        "mean-over-images": (
            _mean_over_images,
            "the mean divides by the images, not by the pixels",
        ),
        "first-class-ignored": (_first_class_ignored, "class 0 is ignored, too"),
    },
) + backwards(
    "cross_entropy",
    {
        "target-forgotten": (
            _target_forgotten,
            "dx is the probabilities: the target is not subtracted",
        )
    },
)
