"""Counts by which something may wrongly be multiplied or divided: a mean for a sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minideeplab.diagnosis.evidence import Evidence

Size = Callable[[list[Any], Mapping[str, Any], tuple[int, ...]], float]
"""Takes the arrays, the options and the shape of the output."""

UNBATCHED = "an input without a batch axis"
"""The tag of a case with one image that is no batch."""

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
    "the product of the strides": lambda a, o, y: np.prod(_two(o.get("stride") or 1)),
    "the product of the dilations": lambda a, o, y: np.prod(_two(o.get("dilation", 1))),
    "the number of groups": lambda a, o, y: o.get("groups", 1),
    "the size of the output over the input's": lambda a, o, y: np.prod(y) / a[0].size,
    "the width of the output over the input's": lambda a, o, y: y[-1] / a[0].shape[-1],
    "the height of the output over the input's": lambda a, o, y: y[-2] / a[0].shape[-2],
    "1 - p": lambda a, o, y: 1 - o["p"],
}
"""Of operations on images (N, C, H, W)."""

CRF_SIZES: dict[str, Size] = {
    "the number of labels": lambda a, o, y: len(a[0]),
    "the number of points": lambda a, o, y: a[0][0].size,
    "the number of features": lambda a, o, y: len(a[1]),
    "the number of iterations": lambda a, o, y: o.get("iterations", 5),
}
"""Of operations on labels and points."""

POWERS = {1.0: "times {}", -1.0: "divided by {}", 0.5: "times the root of {}",
          -0.5: "divided by the root of {}"}  # fmt: skip


def factors(sizes: Mapping[str, Size]) -> Iterator[tuple[str, Callable[[Evidence], float]]]:
    """Yield factors that a case may suggest, with what they are in words."""
    for text, size in sizes.items():
        for power, how in POWERS.items():
            yield how.format(text), _powered(size, power)


def _powered(size: Size, power: float) -> Callable[[Evidence], float]:
    def factor(row: Evidence) -> float:
        arrays = [array for name, array in row.arrays.items() if name != "grad_out"]
        shape = np.shape(row.right["output"])
        if UNBATCHED in row.tags:
            arrays[0], shape = arrays[0][None], (1, *shape)
        return float(size(arrays, row.options, shape)) ** power

    return factor


def _corrected(count: float) -> float:
    return count / max(1.0, count - 1.0)


def _two(value: Any) -> tuple[int, int]:
    return tuple(np.broadcast_to(value, 2).tolist())


def _window(arrays: list[Any], options: Mapping[str, Any]) -> tuple[int, int]:
    return _two(options["kernel_size"]) if "kernel_size" in options else arrays[1].shape[-2:]
