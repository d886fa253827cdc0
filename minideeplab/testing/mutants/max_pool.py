"""Wrong max poolings: padding, ceil_mode, indices, and who gets the gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import (
    Function,
    altered,
    backwards,
    first_only,
    forwards,
    pair,
    right,
    swapped,
)

max_pool, avg_pool = right("max_pool2d"), right("avg_pool2d")

MAX_DEFAULTS = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}


def _max(**changes: Any) -> Function:
    return altered("max_pool2d", MAX_DEFAULTS, **changes)


def _values_and_indices(x: np.ndarray, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    return max_pool(x, **options | {"return_indices": True})


def _indices(change: Callable[[np.ndarray, np.ndarray, dict[str, Any]], np.ndarray]) -> Function:
    """Return max pooling with its indices changed."""

    def forward(x: np.ndarray, **options: Any) -> Any:
        y, indices = _values_and_indices(x, options)
        return (y, change(indices, x, options)) if options.get("return_indices") else y

    return forward


def _in_padded_picture(indices: np.ndarray, x: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    rows, columns = pair(options.get("padding", 0))
    width = x.shape[-1]
    return (indices // width + rows) * (width + 2 * columns) + indices % width + columns


def _with_plane_offset(indices: np.ndarray, x: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    planes = np.arange(x.shape[-3])[:, None, None] * x.shape[-1] * x.shape[-2]
    return indices + planes


def _column_major(indices: np.ndarray, x: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    return indices % x.shape[-1] * x.shape[-2] + indices // x.shape[-1]


def _last_tie(x: np.ndarray, **options: Any) -> Any:
    """Return max pooling that lets the last of equal maxima win: the picture read backwards."""
    y, indices = _values_and_indices(x, options)
    if not options.get("return_indices"):
        return y
    flat = x.reshape(*x.shape[:-2], -1)
    count = flat.shape[-1]
    for place in np.ndindex(y.shape):
        window = _window(place[-2:], x.shape[-2:], options)
        values = flat[place[:-2]][window]
        equal = window[(values == y[place]) | (np.isnan(values) & np.isnan(y[place]))]
        indices[place] = equal[-1] if count else 0
    return y, indices


def _window(place: tuple[int, ...], size: tuple[int, ...], options: dict[str, Any]) -> np.ndarray:
    """Return the indices of the pixels that one window of max pooling sees."""
    kernel = pair(options["kernel_size"])
    stride = pair(options.get("stride") or kernel)
    axes = []
    for axis in range(2):
        start = place[axis] * stride[axis] - pair(options.get("padding", 0))[axis]
        taps = start + pair(options.get("dilation", 1))[axis] * np.arange(kernel[axis])
        axes.append(taps[(taps >= 0) & (taps < size[axis])])
    return (axes[0][:, None] * size[1] + axes[1]).ravel()


def _last_window_kept(x: np.ndarray, **options: Any) -> Any:
    """Return max pooling whose ceil_mode keeps a window that starts in the right padding."""
    kernel, rows = pair(options["kernel_size"]), []
    for n, k, s, p, d in zip(
        x.shape[-2:],
        kernel,
        pair(options.get("stride") or kernel),
        pair(options.get("padding", 0)),
        pair(options.get("dilation", 1)),
        strict=True,
    ):
        span = (k - 1) * d + 1
        count = -(-(n + 2 * p - span) // s) + 1
        rows.append((p, max(p, (count - 1) * s + span - n - p)))
    if not options.get("ceil_mode") or not x.size:
        return max_pool(x, **options)
    wide = np.pad(x, [(0, 0)] * (x.ndim - 2) + rows, constant_values=-np.inf)
    y, at = _values_and_indices(wide, options | {"padding": 0, "ceil_mode": False})
    inner = (at // wide.shape[-1] - rows[0][0]) * x.shape[-1] + at % wide.shape[-1] - rows[1][0]
    return (y, inner) if options.get("return_indices") else y


def _size_without_dilation(x: np.ndarray, **options: Any) -> Any:
    """Return max pooling whose output size forgets the dilation: the last windows are empty."""
    dilation, kernel = pair(options.get("dilation", 1)), pair(options["kernel_size"])
    extra = [(k - 1) * (d - 1) for k, d in zip(kernel, dilation, strict=True)]
    frame = [(0, 0)] * (x.ndim - 2) + [(0, e) for e in extra]
    return max_pool(np.pad(x, frame, constant_values=-np.inf), **options)


def _zero_padding(x: np.ndarray, **options: Any) -> Any:
    rows, columns = pair(options.get("padding", 0))
    frame = [(0, 0)] * (x.ndim - 2) + [(rows, rows), (columns, columns)]
    return max_pool(np.pad(x, frame), **options | {"padding": 0})


def _from_zero(x: np.ndarray, **options: Any) -> Any:
    result = max_pool(x, **options)
    if isinstance(result, tuple):
        return np.maximum(result[0], 0), result[1]
    return np.maximum(result, 0)


def _nan_lost(x: np.ndarray, **options: Any) -> Any:
    return max_pool(np.where(np.isnan(x), -np.inf, x), **options)


def _shared_by_ties(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    """Return dx in which all the pixels that equal a window's maximum get its gradient."""
    x = arrays[0]
    y, _ = _values_and_indices(x, options)
    dx = np.zeros(x.shape, x.dtype)
    flat, source = dx.reshape(*x.shape[:-2], -1), x.reshape(*x.shape[:-2], -1)
    for place in np.ndindex(y.shape):
        window = _window(place[-2:], x.shape[-2:], options)
        winners = window[source[place[:-2]][window] == y[place]]
        flat[place[:-2]][winners] += dy[place]
    return {0: dx}


def _overwritten(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    """Return dx in which the last window that a pixel wins overwrites the others."""
    x = arrays[0]
    _, indices = _values_and_indices(x, options)
    flat = np.zeros((*x.shape[:-2], x.shape[-2] * x.shape[-1]), x.dtype)
    for place in np.ndindex(indices.shape):
        flat[place[:-2]][indices[place]] = dy[place]
    return {0: flat.reshape(x.shape)}


MAX_POOL2D = forwards(
    "max_pool2d",
    {
        "padding-zero": (_zero_padding, "the padding counts as zeros instead of minus infinity"),
        "padding-ignored": (_max(padding=lambda p: 0), "padding is ignored"),
        "padding-swapped": (_max(padding=swapped), "padding's height and width are confused"),
        "stride-one": (
            _max(stride=lambda s: 1 if s is None else s),
            "the default stride is 1 instead of the kernel size",
        ),
        "stride-kernel": (
            lambda x, **o: max_pool(x, **o | {"stride": None}),
            "stride is ignored: it is the kernel size always",
        ),
        "stride-swapped": (
            _max(stride=lambda s: s if s is None else swapped(s)),
            "stride's height and width are confused",
        ),
        "stride-of-height": (
            _max(stride=lambda s: s if s is None else first_only(s)),
            "the height's stride is used for both axes",
        ),
        "kernel-swapped": (
            lambda x, **o: max_pool(x, **o | {"kernel_size": swapped(o["kernel_size"])}),
            "the kernel's height and width are confused",
        ),
        "dilation-ignored": (_max(dilation=lambda d: 1), "dilation is ignored"),
        "dilation-from-zero": (
            _max(dilation=lambda d: tuple(v + 1 for v in pair(d))),
            "dilation is counted from 0: dilation 1 is ordinary pooling",
        ),
        "dilation-of-height": (
            _max(dilation=first_only),
            "the height's dilation is used for both axes",
        ),
        "starts-at-zero": (
            _from_zero,
            "the maximum starts at zero instead of minus infinity: negative windows give 0",
        ),
        "ceil-ignored": (_max(ceil_mode=lambda c: False), "ceil_mode is ignored"),
        "ceil-always": (_max(ceil_mode=lambda c: True), "the output size is always rounded up"),
        "average": (
            lambda x, kernel_size, stride=None, padding=0, **o: avg_pool(
                x, kernel_size, stride=stride, padding=padding
            ),
            "it averages instead of taking the maximum",
        ),
        "minimum": (
            lambda x, **o: (
                -max_pool(-x, **o)
                if not o.get("return_indices")
                else (-_values_and_indices(-x, o)[0], _values_and_indices(-x, o)[1])
            ),
            "it takes the minimum",
        ),
        "nan-lost": (_nan_lost, "NaN is skipped instead of passed on"),
        "ceil-window-kept": (
            _last_window_kept,
            "ceil_mode keeps a last window that starts in the padding on the right",
        ),
        "size-without-dilation": (
            _size_without_dilation,
            "the output size is computed without the dilation",
        ),
        "indices-padded": (_indices(_in_padded_picture), "indices count in the padded picture"),
        "indices-offset": (
            _indices(_with_plane_offset),
            "indices run on over the channels instead of starting anew in each",
        ),
        "indices-column-major": (_indices(_column_major), "indices count down the columns"),
        "indices-last-tie": (_last_tie, "the last of equal maxima wins instead of the first"),
    },
) + backwards(
    "max_pool2d",
    {
        "ties-share": (_shared_by_ties, "all equal maxima get the gradient instead of the first"),
        "overwritten": (
            _overwritten,
            "a pixel that wins several windows keeps one gradient instead of their sum",
        ),
    },
)
