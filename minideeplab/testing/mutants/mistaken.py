"""Operations taken for a related one: layer for batch norm, a box for a Gaussian, labels from 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import (
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


def _taps_backwards(x: np.ndarray, **options: Any) -> np.ndarray:
    columns, (height, width) = unfold(x, **options), pair(options["kernel_size"])
    shape = (*columns.shape[:-2], x.shape[-3], height * width, columns.shape[-1])
    return columns.reshape(shape)[..., ::-1, :].reshape(columns.shape)


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


def _not_centred(
    x: np.ndarray, mean: Any, var: Any, weight: Any = None, bias: Any = None, **options: Any
) -> np.ndarray:
    y = batch_norm(x, mean, var, None, None, **options).astype(np.float64)
    if options.get("training") and x.size:
        axes = tuple(i for i in range(x.ndim) if i != 1)
        wide = x.astype(np.float64)
        y += wide.mean(axes, keepdims=True) / np.sqrt(
            wide.var(axes, keepdims=True) + options.get("eps", 1e-5)
        )
    column = (-1,) + (1,) * (x.ndim - 2)
    y = y if weight is None else y * weight.reshape(column)
    return (y if bias is None else y + bias.reshape(column)).astype(x.dtype)


def _over_the_window(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    """Return dx in which every window shares its gradient among its pixels."""
    if np.any(np.asarray(options.get("dilation", 1)) != 1):
        return {}
    known = ("kernel_size", "stride", "padding", "ceil_mode")
    kept = {name: value for name, value in options.items() if name in known}
    return {0: right_backward("avg_pool2d")(dy, arrays[0], **kept)[0]}


def _updated_first(
    x: np.ndarray, mean: Any, var: Any, weight: Any = None, bias: Any = None, **options: Any
) -> np.ndarray:
    y = batch_norm(x, mean, var, weight, bias, **options)
    if not options.get("training") or mean is None or not x.size:
        return y
    return batch_norm(x, mean, var, weight, bias, **options | {"training": False})


def _correction_inverted(
    x: np.ndarray, mean: Any, var: Any, weight: Any = None, bias: Any = None, **options: Any
) -> np.ndarray:
    before = None if var is None else var.copy()
    y = batch_norm(x, mean, var, weight, bias, **options)
    if options.get("training") and var is not None and x.size:
        count, kept = x.size / x.shape[1], 1 - options.get("momentum", 0.1)
        var[...] = kept * before + (var - kept * before) * ((count - 1) / count) ** 2
    return y


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
        "unfold",
        {
            "taps-down": (_taps_down, "the taps are ordered (kw, kh) instead of (kh, kw)"),
            "taps-backwards": (_taps_backwards, "the taps are ordered from the last to the first"),
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
            "not-centred": (_not_centred, "the mean is not subtracted"),
            "updated-first": (
                _updated_first,
                "in training the running statistics, just updated, normalise",
            ),
            "correction-inverted": (
                _correction_inverted,
                "the running variance is corrected by (n - 1) / n instead of n / (n - 1)",
            ),
            "over-batch": (
                _normalised_over(lambda n: (0,)),
                "every pixel is normalised over the images alone",
            ),
        },
    ),
}
