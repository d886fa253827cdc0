"""Counts by which something may wrongly be multiplied or divided: a mean for a sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minideeplab.testing.cases import CRF
from minideeplab.testing.mutant import pair

Arrays = list[Any]
Options = dict[str, Any]
Size = Callable[[Arrays, Options, tuple[int, ...]], float]
"""Takes the arrays, the options and the shape of the output."""

SIZES: dict[str, Size] = {
    "the number of images": lambda a, o, y: len(a[0]),
    "the number of channels": lambda a, o, y: a[0].shape[1],
    "the number of output channels": lambda a, o, y: y[1],
    "the last axis's length": lambda a, o, y: a[0].shape[-1],
    "the number of pixels in a plane": lambda a, o, y: a[0].shape[-1] * a[0].shape[-2],
    "the number of pixels in a plane of the output": lambda a, o, y: y[-1] * y[-2],
    "the number of pixels in all images": lambda a, o, y: a[0].size // a[0].shape[1],
    "the number of all outputs": lambda a, o, y: np.prod(y),
    "the number of all entries": lambda a, o, y: a[0].size,
    "the number of targets": lambda a, o, y: a[1].size,
    "the number of targets in an image": lambda a, o, y: a[1].size / len(a[1]),
    "the size of the window": lambda a, o, y: np.prod(_window(a, o)),
    "n / (n - 1) of the window's n pixels": lambda a, o, y: _corrected(np.prod(_window(a, o))),
    "the window's height": lambda a, o, y: _window(a, o)[0],
    "the window's width": lambda a, o, y: _window(a, o)[1],
    "the window's height over its width": lambda a, o, y: _window(a, o)[0] / _window(a, o)[1],
    "the number of products in a sum": lambda a, o, y: a[1][0].size,
    "the product of the strides": lambda a, o, y: np.prod(pair(o.get("stride") or 1)),
    "the product of the dilations": lambda a, o, y: np.prod(pair(o.get("dilation", 1))),
    "the number of groups": lambda a, o, y: o.get("groups", 1),
    "the size of the output over the input's": lambda a, o, y: np.prod(y) / a[0].size,
    "the width of the output over the input's": lambda a, o, y: y[-1] / a[0].shape[-1],
    "the height of the output over the input's": lambda a, o, y: y[-2] / a[0].shape[-2],
    "1 - p": lambda a, o, y: 1 - o["p"],
}

CRF_SIZES: dict[str, Size] = {
    "the number of labels": lambda a, o, y: len(a[0]),
    "the number of points": lambda a, o, y: a[0][0].size,
    "the number of features": lambda a, o, y: len(a[1]),
    "the number of iterations": lambda a, o, y: o.get("iterations", 5),
}

POWERS = {1.0: "times {}", -1.0: "divided by {}", 0.5: "times the root of {}",
          -0.5: "divided by the root of {}"}  # fmt: skip


def factors(op: str) -> Iterator[tuple[str, Size]]:
    """Yield factors that a call of ``op`` may suggest, with what they are in words."""
    for text, size in (CRF_SIZES if op in CRF else SIZES).items():
        for power, how in POWERS.items():
            yield how.format(text), _powered(size, power)


def _powered(size: Size, power: float) -> Size:
    return lambda arrays, options, shape: float(size(arrays, options, shape)) ** power


def _corrected(count: float) -> float:
    return count / max(1.0, count - 1.0)


def _window(arrays: Arrays, options: Options) -> tuple[int, int]:
    return pair(options["kernel_size"]) if "kernel_size" in options else arrays[1].shape[-2:]
