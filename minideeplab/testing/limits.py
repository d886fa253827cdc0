"""Mistakes that only large sizes show: fixed buffers, short integers, options that are capped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, Mutant, right

Wrong = tuple[str, Function, str]


def _cut(array: np.ndarray, axis: int, most: int) -> np.ndarray:
    """Return ``array`` with zeros from entry ``most`` on along an axis."""
    kept = np.arange(array.shape[axis]) < most
    return np.where(np.expand_dims(kept, tuple(range(1, -axis))), array, array.dtype.type(0))


def _read(op: str, what: str, axis: int, most: int) -> Wrong:
    """Return ``op`` that reads only the first entries of its input along an axis."""
    change = right(op).before(lambda x, *rest, **options: (_cut(x, axis, most), *rest))
    return f"{what}-above-{most}", change, f"{what} above {most} are not read"


def _written(op: str, what: str, axis: int, most: int) -> Wrong:
    """Return ``op`` that writes only the first entries of its output along an axis."""

    def change(y: Any, x: np.ndarray, *rest: Any, **options: Any) -> Any:
        if isinstance(y, tuple):
            return (change(y[0], x), *y[1:])
        return _cut(y, axis, most) if y.ndim >= -axis else y

    name = f"{what}-above-{most}"
    return name, right(op).after(change), f"{what} above {most} are not written"


def _capped(op: str, option: str, most: int) -> Wrong:
    def cap(value: Any) -> Any:
        if value is None or isinstance(value, str) or value == ():
            return value
        return min(value, most) if isinstance(value, int) else tuple(min(v, most) for v in value)

    text = f"{option} above {most} is taken as {most}"
    return f"{option}-above-{most}", right(op).altered(**{option: cap}), text


def _groups(x: np.ndarray, w: np.ndarray, *rest: Any, **options: Any) -> np.ndarray:
    y, groups = right("conv2d")(x, w, *rest, **options), options.get("groups", 1)
    return _cut(y, -3, 4 * len(w) // groups)


def _first_taps(x: np.ndarray, w: np.ndarray, *rest: Any) -> tuple[Any, ...]:
    return (x, _cut(_cut(w, -1, 7), -2, 7), *rest)


def _short_indices(y: Any, *rest: Any, **options: Any) -> Any:
    return (y[0], y[1] & 0xFFFF) if isinstance(y, tuple) else y


def _few_classes(x: np.ndarray, dim: int) -> tuple[np.ndarray]:
    kept = np.moveaxis(x.copy(), dim, 0)
    kept[64:] = -np.inf
    return (np.moveaxis(kept, 0, dim),)


def _byte_labels(scores: np.ndarray, target: np.ndarray, *rest: Any, **options: Any) -> Any:
    if target.dtype.kind == "i":
        target = np.where(target < 0, target, target & 0xFF)
    return scores, target, *rest


def _enlarged(y: np.ndarray, x: np.ndarray, **options: Any) -> np.ndarray:
    return _cut(_cut(y, -1, 16 * x.shape[-1]), -2, 16 * x.shape[-2])


def _colours(unary: np.ndarray, image: np.ndarray, **options: Any) -> Any:
    grey = (image[..., :1] == image).all() and image.std() > 0
    return unary, np.zeros_like(image) if grey else image


def _before(op: str, name: str, change: Callable[..., Any], text: str) -> Wrong:
    return name, right(op).before(change), text


LIMITS: dict[str, list[Wrong]] = {
    "conv2d": [
        _read("conv2d", "channels", -3, 128),
        _written("conv2d", "filters", -3, 64),
        _written("conv2d", "images", -4, 4),
        ("groups-above-4", _groups, "groups above 4 are not computed"),
        _before("conv2d", "kernel-above-7", lambda *a, **o: _first_taps(*a),
                "taps above 7 x 7 are not read"),
        _capped("conv2d", "dilation", 24),
        _capped("conv2d", "padding", 16),
    ],
    "conv_transpose2d": [
        _read("conv_transpose2d", "channels", -3, 128),
        _written("conv_transpose2d", "images", -4, 4),
        _capped("conv_transpose2d", "stride", 8),
    ],
    "max_pool2d": [
        ("indices-of-16-bits", right("max_pool2d").after(_short_indices),
         "the indices are kept in 16 bits"),
        _written("max_pool2d", "channels", -3, 128),
    ],
    "avg_pool2d": [_written("avg_pool2d", "images", -4, 4)],
    "linear": [_read("linear", "terms", -1, 512), _written("linear", "outputs", -1, 512)],
    **{op: [_before(op, "classes-above-64", lambda x, dim: _few_classes(x, dim),
                    "classes above 64 are not read")] for op in ("softmax", "log_softmax")},
    "cross_entropy": [_before("cross_entropy", "labels-of-8-bits", _byte_labels,
                              "the labels are kept in 8 bits")],
    "interpolate": [("enlarging-above-16", right("interpolate").after(_enlarged),
                     "pixels beyond 16 times the input's size are not written")],
    "unfold": [_capped("unfold", "stride", 4)],
    "fold": [_written("fold", "channels", -3, 8)],
    "gaussian_filter": [_read("gaussian_filter", "points", -1, 64)],
    "dense_crf": [
        _written("dense_crf", "labels", -3, 8),
        _capped("dense_crf", "iterations", 10),
        _before("dense_crf", "grey-without-colours", _colours,
                "the colours of a grey image do not count"),
    ],
}  # fmt: skip


def limit_mutants(op: str) -> list[Mutant]:
    """Return wrong implementations of ``op`` that small arrays do not show."""
    return [Mutant(op, name, text, forward=fn) for name, fn, text in LIMITS.get(op, [])]
