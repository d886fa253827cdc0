"""Wrong im2col and col2im: the order of rows and columns, and overlaps."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.mutant import altered, backwards, forwards, pair, right, swapped

unfold, fold = right("unfold"), right("fold")
DEFAULTS = {"dilation": 1, "padding": 0, "stride": 1}


def _taps(options: dict[str, Any]) -> int:
    return int(np.prod(pair(options["kernel_size"])))


def _taps_first(x: np.ndarray, **options: Any) -> np.ndarray:
    """Return the rows ordered (kh, kw, C) instead of (C, kh, kw)."""
    columns, taps = unfold(x, **options), _taps(options)
    channels = x.shape[-3]
    split = columns.reshape(*columns.shape[:-2], channels, taps, columns.shape[-1])
    return split.swapaxes(-3, -2).reshape(columns.shape)


def _from_taps_first(x: np.ndarray, **options: Any) -> np.ndarray:
    taps = _taps(options)
    split = x.reshape(*x.shape[:-2], taps, x.shape[-2] // taps, x.shape[-1])
    return fold(split.swapaxes(-3, -2).reshape(x.shape), **options)


def _windows_down(x: np.ndarray, **options: Any) -> np.ndarray:
    """Return the windows ordered down the columns of the picture instead of along its rows."""
    columns = unfold(x, **options)
    spans = [
        (k - 1) * d + 1
        for k, d in zip(pair(options["kernel_size"]), pair(options.get("dilation", 1)), strict=True)
    ]
    out = [
        (n + 2 * p - span) // s + 1
        for n, p, span, s in zip(
            x.shape[-2:],
            pair(options.get("padding", 0)),
            spans,
            pair(options.get("stride", 1)),
            strict=True,
        )
    ]
    split = columns.reshape(*columns.shape[:-1], *out)
    return np.ascontiguousarray(split.swapaxes(-2, -1)).reshape(columns.shape)


def _averaged(x: np.ndarray, **options: Any) -> np.ndarray:
    return fold(x, **options) / np.maximum(fold(np.ones_like(x), **options), 1)


UNFOLD = forwards(
    "unfold",
    {
        "taps-first": (_taps_first, "the rows are ordered (kh, kw, C) instead of (C, kh, kw)"),
        "transposed": (
            lambda x, **o: unfold(x, **o).swapaxes(-1, -2),
            "rows and columns are exchanged: (N, L, C kh kw)",
        ),
        "windows-down": (_windows_down, "the windows are counted down the columns"),
        "padding-ignored": (altered("unfold", DEFAULTS, padding=lambda p: 0), "padding is ignored"),
        "dilation-ignored": (
            altered("unfold", DEFAULTS, dilation=lambda d: 1),
            "dilation is ignored",
        ),
        "dilation-from-zero": (
            altered("unfold", DEFAULTS, dilation=lambda d: tuple(v + 1 for v in pair(d))),
            "dilation is counted from 0: dilation 1 is ordinary",
        ),
        "stride-ignored": (altered("unfold", DEFAULTS, stride=lambda s: 1), "stride is ignored"),
        "stride-swapped": (
            altered("unfold", DEFAULTS, stride=swapped),
            "stride's height and width are confused",
        ),
        "kernel-swapped": (
            lambda x, **o: unfold(x, **o | {"kernel_size": swapped(o["kernel_size"])}),
            "the kernel's height and width are confused",
        ),
    },
) + backwards(
    "unfold",
    {
        "dx-averaged": (
            lambda g, dy, a, o: {0: g[0] / _taps(o)},
            "dx averages over the overlapping windows instead of summing",
        ),
        "dx-negated": (lambda g, dy, a, o: {0: -g[0]}, "dx has the opposite sign"),
    },
)

FOLD = forwards(
    "fold",
    {
        "taps-first": (_from_taps_first, "the rows are read as (kh, kw, C) instead of (C, kh, kw)"),
        "averaged": (_averaged, "overlapping windows are averaged instead of summed"),
        "padding-ignored": (
            lambda x, **o: np.roll(fold(x, **o), pair(o.get("padding", 0)), (-2, -1)),
            "the padding is not cut off at the top and left",
        ),
        "kernel-swapped": (
            lambda x, **o: fold(x, **o | {"kernel_size": swapped(o["kernel_size"])}),
            "the kernel's height and width are confused",
        ),
        "size-swapped": (
            lambda x, **o: fold(x, **o | {"output_size": swapped(o["output_size"])}),
            "the output's height and width are confused",
        ),
    },
) + backwards(
    "fold",
    {
        "dx-negated": (lambda g, dy, a, o: {0: -g[0]}, "dx has the opposite sign"),
        "dx-averaged": (
            lambda g, dy, a, o: {0: g[0] / _taps(o)},
            "dx is divided by the number of taps",
        ),
    },
)
