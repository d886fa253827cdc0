"""Conventions under which a failing function would be right: other layouts, other counting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.diagnosis.evidence import Evidence

Arrays = list[Any]
Translate = Callable[[Arrays, dict[str, Any]], tuple[Arrays, dict[str, Any]]]


@dataclass(frozen=True)
class Convention:
    """How to call a function of another convention, and how to read its result."""

    text: str
    translate: Translate
    restore: Callable[[np.ndarray], np.ndarray] = lambda y: y
    ops: tuple[str, ...] = ("conv2d",)


def _channels_last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def _channels_first(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, -1, 1) if array.ndim == 4 else array


def _nhwc(arrays: Arrays, options: dict[str, Any]) -> tuple[Arrays, dict[str, Any]]:
    return [_channels_last(arrays[0]), *arrays[1:]], options


def _nhwc_hwio(arrays: Arrays, options: dict[str, Any]) -> tuple[Arrays, dict[str, Any]]:
    kernel = arrays[1].transpose(2, 3, 1, 0)
    return [_channels_last(arrays[0]), kernel, *arrays[2:]], options


def _input_channels_first(arrays: Arrays, options: dict[str, Any]) -> tuple[Arrays, dict[str, Any]]:
    return [arrays[0], arrays[1].swapaxes(0, 1), *arrays[2:]], options


def _transposed_weight(arrays: Arrays, options: dict[str, Any]) -> tuple[Arrays, dict[str, Any]]:
    return [arrays[0], arrays[1].T, *arrays[2:]], options


def _flipped(arrays: Arrays, options: dict[str, Any]) -> tuple[Arrays, dict[str, Any]]:
    return [arrays[0], arrays[1][..., ::-1, ::-1], *arrays[2:]], options


def _from_zero(arrays: Arrays, options: dict[str, Any]) -> tuple[Arrays, dict[str, Any]]:
    dilation = np.broadcast_to(options.get("dilation", 1), 2)
    return arrays, options | {"dilation": tuple(int(d) - 1 for d in dilation)}


PLANES = (
    "conv2d",
    "max_pool2d",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "interpolate",
    "conv_transpose2d",
    "batch_norm",
)

CONVENTIONS = [
    Convention("it would be right on channels-last (NHWC) arrays", _nhwc, _channels_first, PLANES),
    Convention(
        "it would be right on channels-last (NHWC) arrays with an HWIO kernel",
        _nhwc_hwio,
        _channels_first,
    ),
    Convention(
        "it would be right with weights stored (in, out, kh, kw)",
        _input_channels_first,
        ops=("conv2d", "conv_transpose2d"),
    ),
    Convention(
        "it would be right with the weight stored (in, out)", _transposed_weight, ops=("linear",)
    ),
    Convention(
        "it would be right with the kernel flipped: it computes a convolution in the "
        "mathematical sense, torch a cross-correlation",
        _flipped,
        ops=("conv2d", "conv_transpose2d"),
    ),
    Convention(
        "it would be right with dilation counted from 0",
        _from_zero,
        ops=("conv2d", "conv_transpose2d", "max_pool2d", "unfold"),
    ),
]


def convention(
    op: str, rows: Sequence[Evidence], passed: Sequence[Evidence],
    passes: Callable[[Evidence, Convention], bool],
) -> str:  # fmt: skip
    """Return the convention under which the failing rows would pass, "" if there is none.

    ``passes`` tells whether a row passes if the function is called by a convention.
    """
    for candidate in CONVENTIONS:
        if op in candidate.ops:
            right = sum(passes(row, candidate) for row in rows)
            if right >= max(2, 0.6 * len(rows)) and all(passes(row, candidate) for row in passed):
                return f"{candidate.text} [right on {right} of {len(rows)} failing rows]"
    return ""


def adapted(fn: Callable[..., Any], by: Convention) -> Callable[..., Any]:
    """Return a function of another convention as one of the usual."""

    def call(*arrays: Any, **options: Any) -> Any:
        translated, changed = by.translate(list(arrays), options)
        result = fn(*translated, **changed)
        if isinstance(result, tuple):
            return tuple(by.restore(part) for part in result)
        return by.restore(result)

    return call
