"""Shared by operations with a moving window: pooling, im2col, convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.case import normal, ties
from minideeplab.testing.mutant import pair
from minideeplab.testing.operation import Drawn, Result, Rng
from minideeplab.testing.random_arrays import array, chance, planes, random_pair, some, whole


def taps(options: dict[str, Any]) -> int:
    """Return the number of places of the kernel."""
    return int(np.prod(pair(options["kernel_size"])))


def window_products(result: Result) -> float:
    """Return the number of products: each pixel in each of the kernel's places."""
    return float(max(result.x.size, result.output.size) * taps(result.case.options))


def output_size(size: tuple[int, ...], options: dict[str, Any]) -> list[int]:
    """Return the numbers of windows along height and width of an image, rounded down."""
    dilation, padding, stride = (
        pair(options.get(name, default))
        for name, default in (("dilation", 1), ("padding", 0), ("stride", 1))
    )
    return [
        (n + 2 * padding[axis] - (k - 1) * dilation[axis] - 1) // stride[axis] + 1
        for axis, (n, k) in enumerate(zip(size, pair(options["kernel_size"]), strict=True))
    ]


def draw_pool(rng: Rng, extra: dict[str, Any]) -> Drawn:
    """Draw a pooling whose every window sees a pixel: where none is seen, torch's maximum
    gives its gradient to an unrelated pixel."""
    kernel = random_pair(rng, 1, 4)
    most = int(np.min(kernel)) // 2 + chance(rng, 0.05)  # more is refused
    options = some(
        rng,
        stride=random_pair(rng, 1, 4),
        padding=random_pair(rng, 0, most),
        ceil_mode=chance(rng, 0.5),
        **extra,
    )
    fill = normal if chance(rng, 0.6) else ties
    shape = planes(rng, whole(rng, 1, 3), low=3)
    return Drawn({"input": array(rng, shape, fill)}, options | {"kernel_size": kernel})


def draw_window(rng: Rng) -> dict[str, Any]:
    """Draw the options of unfold and fold."""
    dilation, padding = random_pair(rng, 1, 3), random_pair(rng, 0, 3)
    options = some(rng, dilation=dilation, padding=padding, stride=random_pair(rng, 1, 3))
    return options | {"kernel_size": random_pair(rng, 1, 4)}


def onnx_window(o: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that all windowed operators of ONNX share, from exported options."""
    padding = o["padding"]
    sides = padding if np.size(padding) == 4 else [p for p in pair(padding) for _ in range(2)]
    top, bottom, left, right = (int(p) for p in sides)
    found = {"strides": list(pair(o["stride"])), "pads": [top, left, bottom, right]}
    return found | ({"dilations": list(pair(o["dilation"]))} if "dilation" in o else {})


def onnx_pool(o: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that poolings of ONNX share."""
    kernel = list(pair(o["kernel_size"]))
    return onnx_window(o) | {"kernel_shape": kernel, "ceil_mode": int(o["ceil_mode"])}
