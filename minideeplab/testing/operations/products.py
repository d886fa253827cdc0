"""Shared by convolutions, their transposes and linear layers, which are sums of products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Change, Function, on, pair, right, zeroed
from minideeplab.testing.operation import Result, rms


def bilinear_terms(result: Result, length: float) -> float:
    """Return the size of a sum of ``length`` products, of its terms in a random walk."""
    x, w, dy = rms(result.x), rms(result.arguments["weight"]), rms(result.cotangent)
    typical = {"output": x * w, "grad_input": dy * w, "grad_weight": dy * x}.get(result.what, dy)
    return math.sqrt(length) * typical


def products_per_output(axis: int) -> Callable[[Result], float]:
    """Return a count of products: one filter of the weight for each output, filters on ``axis``."""
    return lambda result: (
        result.output.size * result.arguments["weight"].size / max(1, result.output.shape[axis])
    )


def spread_apart(array: np.ndarray, steps: tuple[int, int]) -> np.ndarray:
    """Return ``array`` with zeros inserted between its last two axes' entries."""
    h, w = array.shape[-2:]
    shape = array.shape[:-2] + ((h - 1) * steps[0] + 1, (w - 1) * steps[1] + 1)
    wide = np.zeros(shape, array.dtype)
    wide[..., :: steps[0], :: steps[1]] = array
    return wide


def both_sides(padding: Any, kernel: tuple[int, ...], dilation: Any) -> list[tuple[int, int]]:
    """Return the padding (before, after) of both axes, as "same", "valid" or numbers ask for."""
    if padding == "same":
        totals = [(k - 1) * d for k, d in zip(kernel, pair(dilation), strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(p, p) for p in pair(0 if padding == "valid" else padding)]


def interleaved(channels: int, groups: int) -> np.ndarray:
    """Return the order of channels that belong to groups in turn instead of in blocks."""
    return np.arange(channels).reshape(channels // groups, groups).T.ravel()


def with_weight(op: str, change: Callable[[np.ndarray], np.ndarray]) -> Function:
    """Return ``op`` with its weight changed."""
    return right(op).before(lambda x, w, *b, **options: (x, change(w), *b))


def with_bias(op: str, change: Callable[[np.ndarray], np.ndarray | None]) -> Function:
    """Return ``op`` with its bias changed, where there is one."""
    return right(op).before(
        lambda x, w, b=None, **options: (x, w, None if b is None else change(b))
    )


def with_channels(op: str, order: Callable[[int, int], np.ndarray]) -> Function:
    """Return ``op`` with its input channels taken in the order ``order(C, groups)``."""
    return right(op).before(
        lambda x, *rest, groups=1, **o: (np.take(x, order(x.shape[-3], groups), -3), *rest)
    )


BIAS_IGNORED = "the bias is not added"
DX_ZERO: tuple[Change, str] = (on(0, zeroed), "dx is all zero")
