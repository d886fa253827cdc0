"""Wrong max poolings: padding, ceil_mode, indices, and which pixel gets the gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, pair, right, right_backward, swapped

max_pool, avg_pool = right("max_pool2d"), right("avg_pool2d")


def _both(x: np.ndarray, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    return max_pool(x, **options | {"return_indices": True})


def _pool(change: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Function:
    """Return max pooling of which ``change(y, indices, x, options)`` makes another result."""

    def forward(x: np.ndarray, return_indices: bool = False, **options: Any) -> Any:
        y, indices = change(*_both(x, options), x, options)
        return (y, indices) if return_indices else y

    return forward


def _indices(change: Callable[..., np.ndarray]) -> Function:
    """Return max pooling with its indices replaced by ``change(indices, H, W, options)``."""
    return _pool(lambda y, indices, x, options: (y, change(indices, *x.shape[-2:], options)))


def _in_padded_image(at: np.ndarray, height: int, width: int, options: Any) -> np.ndarray:
    rows, columns = pair(options.get("padding", 0))
    return (at // width + rows) * (width + 2 * columns) + at % width + columns


def _framed(x: np.ndarray, rows: Any, columns: Any, value: float) -> np.ndarray:
    return np.pad(x, [(0, 0)] * (x.ndim - 2) + [rows, columns], constant_values=value)


def _window(place: tuple[int, ...], size: tuple[int, ...], options: dict[str, Any]) -> np.ndarray:
    """Return the indices of the pixels that one window of max pooling sees."""
    kernel = pair(options["kernel_size"])
    stride, padding = pair(options.get("stride") or kernel), pair(options.get("padding", 0))
    axes = []
    for axis in range(2):
        start = place[axis] * stride[axis] - padding[axis]
        taps = start + pair(options.get("dilation", 1))[axis] * np.arange(kernel[axis])
        axes.append(taps[(taps >= 0) & (taps < size[axis])])
    return (axes[0][:, None] * size[1] + axes[1]).ravel()


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


def _last_tie(y: np.ndarray, indices: np.ndarray, x: np.ndarray, options: Any) -> Any:
    """Let the last of equal maxima win."""
    flat = _flat(x)
    for place in np.ndindex(y.shape):
        window = _window(place[-2:], x.shape[-2:], options)
        values = flat[place[:-2]][window]
        equal = window[(values == y[place]) | (np.isnan(values) & np.isnan(y[place]))]
        indices[place] = equal[-1]
    return y, indices


def _last_window_kept(x: np.ndarray, **options: Any) -> Any:
    """Return max pooling whose ceil_mode keeps a window that starts in the right padding."""
    if not options.get("ceil_mode") or not x.size:
        return max_pool(x, **options)
    kernel, sides = pair(options["kernel_size"]), []
    stride, padding = pair(options.get("stride") or kernel), pair(options.get("padding", 0))
    for n, k, s, p, d in zip(
        x.shape[-2:], kernel, stride, padding, pair(options.get("dilation", 1)), strict=True
    ):
        span = (k - 1) * d + 1
        count = -(-(n + 2 * p - span) // s) + 1
        sides.append((p, max(p, (count - 1) * s + span - n - p)))
    wide = _framed(x, *sides, -np.inf)
    y, at = _both(wide, options | {"padding": 0, "ceil_mode": False})
    row, column = at // wide.shape[-1] - sides[0][0], at % wide.shape[-1] - sides[1][0]
    return (y, row * x.shape[-1] + column) if options.get("return_indices") else y


def _size_without_dilation(x: np.ndarray, **options: Any) -> tuple[np.ndarray]:
    """Return the image framed so that the output's size forgets the dilation."""
    dilation, kernel = pair(options.get("dilation", 1)), pair(options["kernel_size"])
    extra = [(0, (k - 1) * (d - 1)) for k, d in zip(kernel, dilation, strict=True)]
    return (_framed(x, *extra, -np.inf),)


def _zero_padding(x: np.ndarray, padding: Any = 0, **options: Any) -> Any:
    rows, columns = pair(padding)
    return max_pool(_framed(x, (rows, rows), (columns, columns), 0.0), **options)


def _by_magnitude(y: np.ndarray, indices: np.ndarray, x: np.ndarray, options: Any) -> Any:
    """Take the entry of largest magnitude in each window, with its sign."""
    low, below = _both(-x, options)
    above = (y >= low) | np.isnan(y)
    return np.where(above, y, -low), np.where(above, indices, below)


def _minimum(y: np.ndarray, indices: np.ndarray, x: np.ndarray, options: Any) -> Any:
    low, below = _both(-x, options)
    return -low, below


FORWARD = {
    "padding-zero": (_zero_padding, "the padding counts as zeros instead of minus infinity"),
    **max_pool.confused(padding="ignored swapped"),
    "stride-one": (max_pool.altered(stride=lambda s: 1 if s is None else s),
                   "the default stride is 1 instead of the kernel size"),
    "stride-kernel": (max_pool.without("stride"),
                      "stride is ignored: it is the kernel size always"),
    **max_pool.confused(stride="swapped of-height"),
    "kernel-swapped": (max_pool.altered(kernel_size=swapped),
                       "the kernel's height and width are confused"),
    **max_pool.confused(dilation="ignored from-zero of-height"),
    "starts-at-zero": (
        _pool(lambda y, indices, x, options: (np.maximum(y, 0), indices)),
        "the maximum starts at zero instead of minus infinity: negative windows give 0"),
    "ceil-ignored": (max_pool.without("ceil_mode"), "ceil_mode is ignored"),
    "ceil-always": (max_pool.altered(ceil_mode=lambda c: True),
                    "the output size is always rounded up"),
    "average": (
        lambda x, kernel_size, stride=None, padding=0, **o: avg_pool(
            x, kernel_size, stride=stride, padding=padding),
        "it averages instead of taking the maximum"),
    "minimum": (_pool(_minimum), "it takes the minimum"),
    "nan-lost": (max_pool.before(lambda x, **o: (np.where(np.isnan(x), -np.inf, x),)),
                 "NaN is skipped instead of passed on"),
    "ceil-window-kept": (_last_window_kept,
                         "ceil_mode keeps a last window that starts in the padding on the right"),
    "size-without-dilation": (max_pool.before(_size_without_dilation),
                              "the output size is computed without the dilation"),
    "indices-padded": (_indices(_in_padded_image), "indices count in the padded image"),
    "indices-offset": (
        _indices(lambda at, h, w, o: at + np.arange(at.shape[-3])[:, None, None] * h * w),
        "indices run on over the channels instead of starting anew in each"),
    "indices-column-major": (_indices(lambda at, h, w, o: at % w * h + at // w),
                             "indices count down the columns"),
    "indices-last-tie": (_pool(_last_tie), "the last of equal maxima wins instead of the first"),
    "by-magnitude": (_pool(_by_magnitude), "the largest magnitude wins, not the largest"),
}  # fmt: skip


def _scattered(winners: Callable[..., Any], add: bool) -> Callable[..., np.ndarray]:
    """Return a change of dx: each window's gradient goes to ``winners(index, values, largest)``.

    It is added to what other windows gave, or overwrites it.
    """

    def change(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> np.ndarray:
        x = arrays[0]
        y, indices = _both(x, options)
        dx = np.zeros(x.shape, x.dtype)
        flat, source = _flat(dx), _flat(x)
        for place in np.ndindex(y.shape):
            window = _window(place[-2:], x.shape[-2:], options)
            seen = winners(indices[place], window, source[place[:-2]][window] == y[place])
            kept = flat[place[:-2]][seen] if add else 0
            flat[place[:-2]][seen] = kept + dy[place]
        return dx

    return change


def _over_the_window(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> Any:
    """Return dx in which every window shares its gradient among its pixels."""
    if np.any(np.asarray(options.get("dilation", 1)) != 1):
        return {}
    known = ("kernel_size", "stride", "padding", "ceil_mode")
    kept = {name: value for name, value in options.items() if name in known}
    return right_backward("avg_pool2d")(dy, arrays[0], **kept)[0]


BACKWARD = {
    "ties-share": (_scattered(lambda index, window, equal: window[equal], add=True),
                   "all equal maxima get the gradient instead of the first"),
    "overwritten": (_scattered(lambda index, window, equal: index, add=False),
                    "a pixel that wins several windows keeps one gradient instead of their sum"),
    "window-shares": (_over_the_window, "every pixel of a window gets its share of dy"),
}  # fmt: skip
