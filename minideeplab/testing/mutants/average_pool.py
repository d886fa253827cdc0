"""Wrong average poolings: what is counted, where bins end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import (
    Function,
    altered,
    backwards,
    forwards,
    pair,
    right,
    swapped,
)

max_pool, avg_pool, fold = right("max_pool2d"), right("avg_pool2d"), right("fold")

AVG_DEFAULTS = {
    "stride": None,
    "padding": 0,
    "ceil_mode": False,
    "count_include_pad": True,
    "divisor_override": None,
}


def _avg(**changes: Any) -> Function:
    return altered("avg_pool2d", AVG_DEFAULTS, **changes)


def _whole_kernel(x: np.ndarray, **options: Any) -> np.ndarray:
    area = int(np.prod(pair(options["kernel_size"])))
    return avg_pool(x, **options | {"divisor_override": options.get("divisor_override") or area})


def _sum(x: np.ndarray, **options: Any) -> np.ndarray:
    return avg_pool(x, **options | {"divisor_override": 1})


def _count_ignores_override(x: np.ndarray, **options: Any) -> np.ndarray:
    return avg_pool(x, **options | {"divisor_override": None})


def _uniform_share(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    """Return dx in which every window gives 1 / (kernel area) to each of its pixels."""
    if options.get("ceil_mode") or arrays[0].size == 0:
        return {}
    x, kernel = arrays[0], pair(options["kernel_size"])
    x = x if x.ndim == 4 else x[None]
    shares = np.repeat(dy.reshape(*x.shape[:2], 1, -1), kernel[0] * kernel[1], axis=2)
    columns = shares.reshape(len(x), -1, shares.shape[-1]) / (kernel[0] * kernel[1])
    spread = fold(
        columns,
        x.shape[2:],
        kernel,
        stride=options.get("stride") or kernel,
        padding=options.get("padding", 0),
    )
    return {0: spread.reshape(arrays[0].shape)}


AVG_POOL2D = forwards(
    "avg_pool2d",
    {
        "padding-counted": (
            _avg(count_include_pad=lambda c: True),
            "the padding is always counted",
        ),
        "padding-not-counted": (
            _avg(count_include_pad=lambda c: False),
            "the padding is never counted",
        ),
        "padding-ignored": (_avg(padding=lambda p: 0), "padding is ignored"),
        "padding-swapped": (_avg(padding=swapped), "padding's height and width are confused"),
        "divisor-ignored": (_count_ignores_override, "divisor_override is ignored"),
        "whole-kernel": (
            _whole_kernel,
            "every window is divided by the whole kernel, even where it sticks out",
        ),
        "sum": (_sum, "the window is summed instead of averaged"),
        "ceil-ignored": (_avg(ceil_mode=lambda c: False), "ceil_mode is ignored"),
        "ceil-always": (_avg(ceil_mode=lambda c: True), "the output size is always rounded up"),
        "stride-one": (
            _avg(stride=lambda s: 1 if s is None else s),
            "the default stride is 1 instead of the kernel size",
        ),
        "stride-swapped": (
            _avg(stride=lambda s: s if s is None else swapped(s)),
            "stride's height and width are confused",
        ),
        "kernel-swapped": (
            lambda x, **o: avg_pool(x, **o | {"kernel_size": swapped(o["kernel_size"])}),
            "the kernel's height and width are confused",
        ),
        "maximum": (
            lambda x, kernel_size, stride=None, padding=0, ceil_mode=False, **o: max_pool(
                x, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode
            ),
            "it takes the maximum instead of averaging",
        ),
    },
) + backwards(
    "avg_pool2d",
    {
        "dx-not-divided": (
            lambda g, dy, a, o: {0: g[0] * np.prod(pair(o["kernel_size"]))},
            "dx is not divided by the size of the window",
        ),
        "dx-uniform": (
            _uniform_share,
            "dx divides by the whole kernel whatever the forward divided by",
        ),
    },
)

adaptive = right("adaptive_avg_pool2d")


def _bins(size: int, count: int) -> list[tuple[int, int]]:
    """Return the right starts and ends of ``count`` bins over ``size`` pixels."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _adaptive(
    bins: Callable[[int, int], list[tuple[int, int]]] = _bins,
    pooled: Callable[..., np.ndarray] = np.mean,
) -> Function:
    """Return adaptive pooling with other bins, or another result for the pixels of a bin."""

    def forward(x: np.ndarray, output_size: Any) -> np.ndarray:
        size = (output_size, output_size) if isinstance(output_size, int) else output_size
        shape = [n if s is None else s for n, s in zip(x.shape[-2:], size, strict=True)]
        y = np.empty((*x.shape[:-2], *shape), x.dtype)
        for i, (top, bottom) in enumerate(bins(x.shape[-2], shape[0])):
            for j, (left, end) in enumerate(bins(x.shape[-1], shape[1])):
                y[..., i, j] = pooled(x[..., top:bottom, left:end], axis=(-2, -1))
        return y

    return forward


def _disjoint(size: int, count: int) -> list[tuple[int, int]]:
    return [
        (i * size // count, max(i * size // count + 1, (i + 1) * size // count))
        for i in range(count)
    ]


def _equal(size: int, count: int) -> list[tuple[int, int]]:
    width = max(1, size // count)
    return [(min(i * width, size - 1), min(i * width, size - 1) + width) for i in range(count)]


ADAPTIVE_AVG_POOL2D = forwards(
    "adaptive_avg_pool2d",
    {
        "bins-disjoint": (
            _adaptive(_disjoint),
            "bins end where the next begins: the end must round up",
        ),
        "bins-equal": (_adaptive(_equal), "all bins have size // count pixels"),
        "maximum": (_adaptive(pooled=np.max), "it takes the maximum of each bin"),
        "sum": (_adaptive(pooled=np.sum), "it sums each bin instead of averaging"),
        "first": (
            _adaptive(pooled=lambda part, axis: part[..., 0, 0]),
            "it takes the first pixel of each bin",
        ),
        "size-swapped": (
            lambda x, output_size: adaptive(
                x, output_size if isinstance(output_size, int) else tuple(output_size)[::-1]
            ),
            "the output's height and width are confused",
        ),
        "size-of-height": (
            lambda x, output_size: adaptive(
                x, output_size if isinstance(output_size, int) else (output_size[0],) * 2
            ),
            "the output's height is used for both axes",
        ),
    },
) + backwards(
    "adaptive_avg_pool2d",
    {
        "dx-negated": (lambda g, dy, a, o: {0: -g[0]}, "dx has the opposite sign"),
        "dx-mean": (
            lambda g, dy, a, o: {
                0: np.broadcast_to(g[0].mean((-2, -1), keepdims=True), g[0].shape)
            },
            "dx spreads the gradient evenly over the picture",
        ),
    },
)
