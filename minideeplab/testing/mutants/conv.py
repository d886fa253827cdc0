"""Wrong convolutions, forward: counting, order, padding, groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.mutant import (
    Function,
    altered,
    first_only,
    forwards,
    pair,
    right,
    swapped,
)

DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
conv2d = right("conv2d")


def _option(**changes: Any) -> Function:
    return altered("conv2d", DEFAULTS, **changes)


def _kernel(change: Any) -> Function:
    """Return conv2d with ``change`` applied to its kernel."""
    return lambda x, w, *b, **options: conv2d(x, change(w), *b, **options)


def both_sides(padding: Any, w: np.ndarray, dilation: Any) -> list[tuple[int, int]]:
    """Return the padding (before, after) of both axes, as "same", "valid" or numbers ask for."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    if padding == "same":
        totals = [(k - 1) * d for k, d in zip(w.shape[2:], pair(dilation), strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(p, p) for p in pair(padding)]


def _padded_otherwise(change: Any) -> Function:
    """Return conv2d whose padding is done before, by ``change(x, sides)``."""

    def forward(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
        sides = both_sides(options.pop("padding", 0), w, options.get("dilation", 1))
        return conv2d(change(x, [(0, 0)] * (x.ndim - 2) + sides), w, b, **options)

    return forward


def _edge(x: np.ndarray, sides: list[tuple[int, int]]) -> np.ndarray:
    return np.pad(x, sides, mode="edge") if x.size else np.pad(x, sides)


def _one_sided(x: np.ndarray, sides: list[tuple[int, int]]) -> np.ndarray:
    return np.pad(x, [(before + after, 0) for before, after in sides])


def _extra_first(x: np.ndarray, sides: list[tuple[int, int]]) -> np.ndarray:
    return np.pad(x, [(after, before) for before, after in sides])


def _inputs_regrouped(order: Any) -> Function:
    """Return conv2d whose input channels are taken in another order, ``order(C, groups)``."""

    def forward(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
        channels = order(x.shape[-3], options.get("groups", 1))
        return conv2d(np.take(x, channels, axis=-3), w, b, **options)

    return forward


def _first_group(c: int, groups: int) -> np.ndarray:
    return np.arange(c) % (c // groups)


def _interleaved(c: int, groups: int) -> np.ndarray:
    return np.arange(c).reshape(c // groups, groups).T.ravel()


def _bias(change: Any) -> Function:
    def forward(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
        return conv2d(x, w, None if b is None else change(b), **options)

    return forward


def _mean_over_window(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
    return conv2d(x, w / w[0].size, b, **options)


def _late_stride(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
    rows, columns = pair(options.pop("stride", 1))
    dense = conv2d(x, w, b, **options)
    return dense[..., rows - 1 :: rows, columns - 1 :: columns]


def _effective_kernel_times_rate(
    x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any
) -> np.ndarray:
    """Return the result with k d instead of k + (k-1)(d-1) in the formula for its size."""
    y = conv2d(x, w, b, **options)
    cut = [
        -(-(d - 1) // s)
        for d, s in zip(
            pair(options.get("dilation", 1)), pair(options.get("stride", 1)), strict=True
        )
    ]
    return y[..., : max(0, y.shape[-2] - cut[0]), : max(0, y.shape[-1] - cut[1])]


def _right_size(text: str, **changes: Any) -> tuple[Function, str]:
    """Return conv2d with an option confused in its loops but not in the size of its output."""

    def forward(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
        full = DEFAULTS | options
        shape = conv2d(x, w, b, **full).shape
        changed = full | {name: change(full[name]) for name, change in changes.items()}
        room = 4 * max(shape[-2:]) + 99  # enough for the largest stride and dilation of the table
        wide = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, room)] * 2)
        return conv2d(wide, w, b, **changed)[..., : shape[-2], : shape[-1]]

    return forward, f"{text}, in an output of the right size"


def _last_only(value: Any) -> Any:
    return value if isinstance(value, str) else (pair(value)[1],) * 2


def _by_remainder(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
    """Return conv2d whose filter k reads the channels of group k % groups."""
    order = np.argsort(np.arange(len(w)) % options.get("groups", 1), kind="stable")
    y = conv2d(x, w[order], None if b is None else b[order], **options)
    return np.take(y, np.argsort(order), axis=-3)


CONV2D = forwards(
    "conv2d",
    {
        "kernel-flipped": (
            _kernel(lambda w: w[..., ::-1, ::-1]),
            "the kernel is flipped: a convolution in the mathematical sense",
        ),
        "kernel-upside-down": (_kernel(lambda w: w[..., ::-1, :]), "the kernel is upside down"),
        "kernel-mirrored": (
            _kernel(lambda w: w[..., ::-1]),
            "the kernel is mirrored left to right",
        ),
        "kernel-transposed": (
            _kernel(lambda w: w.swapaxes(-1, -2)),
            "the kernel's height and width are confused",
        ),
        "dilation-from-zero": (
            _option(dilation=lambda d: tuple(v + 1 for v in pair(d))),
            "dilation is counted from 0: dilation 1 is ordinary convolution",
        ),
        "dilation-ignored": (_option(dilation=lambda d: 1), "dilation is ignored"),
        "dilation-swapped": (_option(dilation=swapped), "dilation's height and width are confused"),
        "dilation-of-height": (
            _option(dilation=first_only),
            "the height's dilation is used for both axes",
        ),
        "dilation-plus-one": (
            _option(dilation=lambda d: tuple(v + (v > 1) for v in pair(d))),
            "one pixel too many between the taps: d zeros are inserted instead of d - 1",
        ),
        "effective-kernel": (
            _effective_kernel_times_rate,
            "the effective kernel is k d instead of k + (k-1)(d-1)",
        ),
        "stride-swapped": (_option(stride=swapped), "stride's height and width are confused"),
        "stride-ignored": (_option(stride=lambda s: 1), "stride is ignored"),
        "stride-of-height": (
            _option(stride=first_only),
            "the height's stride is used for both axes",
        ),
        "stride-late": (_late_stride, "the stride starts at its last instead of its first pixel"),
        "padding-swapped": (_option(padding=swapped), "padding's height and width are confused"),
        "padding-of-height": (
            _option(padding=first_only),
            "the height's padding is used for both axes",
        ),
        "padding-ignored": (
            _option(padding=lambda p: p if isinstance(p, str) else 0),
            "padding is ignored",
        ),
        "same-is-valid": (
            _option(padding=lambda p: 0 if isinstance(p, str) else p),
            "padding='same' pads nothing",
        ),
        "padding-replicated": (
            _padded_otherwise(_edge),
            "the border is repeated, not padded by zeros",
        ),
        "padding-one-sided": (
            _padded_otherwise(_one_sided),
            "all of the padding goes to the top and the left",
        ),
        "same-extra-first": (
            _padded_otherwise(_extra_first),
            "the odd row of padding='same' goes to the top and the left",
        ),
        "bias-ignored": (_bias(lambda b: None), "the bias is not added"),
        "bias-twice": (_bias(lambda b: 2 * b), "the bias is added twice"),
        "bias-subtracted": (_bias(lambda b: -b), "the bias is subtracted"),
        "groups-read-first": (
            _inputs_regrouped(_first_group),
            "every group reads the first group's channels",
        ),
        "groups-interleaved": (
            _inputs_regrouped(_interleaved),
            "groups are interleaved instead of blocks of channels",
        ),
        "groups-by-remainder": (_by_remainder, "filter k is taken to be of group k % groups"),
        "loop-stride-of-height": _right_size(
            "the height's stride is used for both axes", stride=first_only
        ),
        "loop-stride-of-width": _right_size(
            "the width's stride is used for both axes", stride=_last_only
        ),
        "loop-stride-swapped": _right_size("the strides are exchanged", stride=swapped),
        "loop-dilation-of-height": _right_size(
            "the height's dilation is used for both axes", dilation=first_only
        ),
        "loop-dilation-of-width": _right_size(
            "the width's dilation is used for both axes", dilation=_last_only
        ),
        "loop-dilation-swapped": _right_size("the dilations are exchanged", dilation=swapped),
        "loop-padding-of-height": _right_size(
            "the height's padding is used for both axes", padding=first_only
        ),
        "loop-padding-of-width": _right_size(
            "the width's padding is used for both axes", padding=_last_only
        ),
        "loop-padding-swapped": _right_size("the paddings are exchanged", padding=swapped),
        "mean-not-sum": (_mean_over_window, "the window is averaged instead of summed"),
    },
)
