"""Operations taken for a related one: layer for batch norm, a box for a Gaussian, labels from 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutants.base import (
    Function,
    Mutant,
    backwards,
    forwards,
    pair,
    right,
    right_backward,
)
from minideeplab.testing.mutants.conv import both_sides

conv2d, transpose, max_pool = right("conv2d"), right("conv_transpose2d"), right("max_pool2d")
unfold, batch_norm = right("unfold"), right("batch_norm")
cross_entropy, gaussian_filter = right("cross_entropy"), right("gaussian_filter")


def _padded(mode: str) -> Function:
    """Return conv2d whose border is filled as ``np.pad`` does in ``mode``."""

    def forward(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
        sides = both_sides(options.pop("padding", 0), w, options.get("dilation", 1))
        sides = [(0, 0)] * (x.ndim - 2) + sides
        wide = np.pad(x, sides, mode=mode) if x.size else np.pad(x, sides)
        return conv2d(wide, w, b, **options)

    return forward


PADDINGS = {
    "padding-mirrored": (_padded("reflect"), "the border is mirrored, not padded by zeros"),
    "padding-symmetric": (
        _padded("symmetric"),
        "the border is mirrored with its edge, not padded by zeros",
    ),
    "padding-circular": (_padded("wrap"), "the border is continued from the other side"),
}


def _overlaps_averaged(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
    """Return the transposed convolution divided by how many windows reach a pixel."""
    y = transpose(x, w, None, **options)
    single = {name: value for name, value in options.items() if name != "groups"}
    ones = np.ones_like(x[..., :1, :, :]), np.ones_like(w[:1, :1])
    y = y / np.maximum(transpose(*ones, None, **single), 1)
    return (y if b is None else y + b[:, None, None]).astype(x.dtype)


def _by_magnitude(x: np.ndarray, return_indices: bool = False, **options: Any) -> Any:
    """Return the entry of largest magnitude in each window, with its sign."""
    options = options | {"return_indices": True}
    (high, at), (low, below) = max_pool(x, **options), max_pool(-x, **options)
    above = (high >= low) | np.isnan(high)
    y = np.where(above, high, -low)
    return (y, np.where(above, at, below)) if return_indices else y


def _taps_down(x: np.ndarray, **options: Any) -> np.ndarray:
    """Return the columns with their rows ordered (C, kw, kh) instead of (C, kh, kw)."""
    columns, (height, width) = unfold(x, **options), pair(options["kernel_size"])
    shape = (*columns.shape[:-2], x.shape[-3], height, width, columns.shape[-1])
    return columns.reshape(shape).swapaxes(-3, -2).reshape(columns.shape)


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


def _normalised_over(axes: Callable[[int], tuple[int, ...]]) -> Function:
    """Return batch norm in training with its mean and variance over other axes."""

    def forward(
        x: np.ndarray, mean: Any, var: Any, weight: Any = None, bias: Any = None, **options: Any
    ) -> np.ndarray:
        over = axes(x.ndim)
        if not options.get("training") or not over:
            return batch_norm(x, mean, var, weight, bias, **options)
        column = (-1,) + (1,) * (x.ndim - 2)
        centred = x - x.mean(over, keepdims=True)
        y = centred / np.sqrt(x.var(over, keepdims=True) + options.get("eps", 1e-5))
        y = y if weight is None else y * weight.reshape(column)
        return (y if bias is None else y + bias.reshape(column)).astype(x.dtype)

    return forward


def _kernel(weight: Callable[[np.ndarray], np.ndarray]) -> Function:
    """Return gaussian_filter whose weights are another function of the squared distance."""

    def forward(x: np.ndarray, features: np.ndarray, normalization: str = "none") -> np.ndarray:
        f = features.astype(np.float64)
        weights = weight(((f[:, :, None] - f[:, None, :]) ** 2).sum(axis=0))
        total = weights.sum(axis=1)
        left, right_ = {"none": (0, 0), "before": (0, -1), "after": (-1, 0),
                        "symmetric": (-0.5, -0.5)}[normalization]  # fmt: skip
        weights = total[:, None] ** float(left) * weights * total ** float(right_)
        return (x @ weights.T).astype(x.dtype)

    return forward


def _unnormalised(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    return {0: gaussian_filter(dy, arrays[1])}


def _over_the_window(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    """Return dx in which every window shares its gradient among its pixels."""
    if np.any(np.asarray(options.get("dilation", 1)) != 1):
        return {}
    known = ("kernel_size", "stride", "padding", "ceil_mode")
    kept = {name: value for name, value in options.items() if name in known}
    return {0: right_backward("avg_pool2d")(dy, arrays[0], **kept)[0]}


MISTAKEN: dict[str, list[Mutant]] = {
    "conv2d": forwards("conv2d", PADDINGS),
    "conv_transpose2d": forwards(
        "conv_transpose2d",
        {"overlaps-averaged": (_overlaps_averaged, "where windows overlap, they are averaged")},
    ),
    "max_pool2d": forwards(
        "max_pool2d",
        {"by-magnitude": (_by_magnitude, "the largest magnitude wins, not the largest")},
    )
    + backwards(
        "max_pool2d",
        {"window-shares": (_over_the_window, "every pixel of a window gets its share of dy")},
    ),
    "unfold": forwards(
        "unfold", {"taps-down": (_taps_down, "the taps are ordered (kw, kh) instead of (kh, kw)")}
    ),
    "cross_entropy": forwards(
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
            "first-class-ignored": (_first_class_ignored, "class 0 is ignored, too"),
        },
    )
    + backwards(
        "cross_entropy",
        {
            "target-forgotten": (
                _target_forgotten,
                "dx is the probabilities: the target is not subtracted",
            )
        },
    ),
    "batch_norm": forwards(
        "batch_norm",
        {
            "layer": (
                _normalised_over(lambda n: tuple(range(1, n))),
                "it is layer norm: every image by itself, over all channels",
            ),
            "instance": (
                _normalised_over(lambda n: tuple(range(2, n))),
                "it is instance norm: every image by itself",
            ),
            "over-batch": (
                _normalised_over(lambda n: (0,)),
                "every pixel is normalised over the images alone",
            ),
        },
    ),
    "gaussian_filter": forwards(
        "gaussian_filter",
        {
            "box": (_kernel(lambda d: d < 1.0), "it is a box: 1 nearer than 1, else 0"),
            "cut-at-2": (
                _kernel(lambda d: np.exp(-d / 2) * (d < 4)),
                "the kernel is cut off at 2 standard deviations",
            ),
            "cut-at-3": (
                _kernel(lambda d: np.exp(-d / 2) * (d < 9)),
                "the kernel is cut off at 3 standard deviations",
            ),
            "cauchy": (_kernel(lambda d: 1 / (1 + d)), "the kernel is 1 / (1 + |f - g|^2)"),
        },
    )
    + backwards(
        "gaussian_filter",
        {"dx-unnormalised": (_unnormalised, "dx forgets the normalisation")},
    ),
}
