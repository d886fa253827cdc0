"""Tables of changes: other arrays, other numbers, other means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import softmax


def _without(place: int, axis: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a change that sets the first or last item along ``axis`` to zero."""

    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        np.moveaxis(array, axis if axis < array.ndim else -1, 0)[place] = 0
        return array

    return change


def _rest_zero(array: np.ndarray, axis: int) -> np.ndarray:
    """Return ``array`` with everything but its first item along ``axis`` set to zero."""
    first = np.arange(array.shape[axis]) < 1
    return array * np.expand_dims(first, tuple(i for i in range(array.ndim) if i != axis))


def _centre(array: np.ndarray) -> np.ndarray:
    """Return ``array`` with zeros but in the middle of its last two axes."""
    middle = np.zeros(array.shape[-2:])
    middle[array.shape[-2] // 2, array.shape[-1] // 2] = 1
    return array * middle


def _sums(array: np.ndarray) -> np.ndarray:
    """Return the sums over all axes but the first, kept."""
    return array.sum(axis=tuple(range(1, array.ndim)), keepdims=True)


def _flip(axis: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda a: np.flip(a, max(axis, -a.ndim))


def _roll(step: int, axis: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda a: np.roll(a, step, max(axis, -a.ndim))


ARRAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "zeros as {}": np.zeros_like,
    "ones as {}": np.ones_like,
    "the absolute value of {}": np.abs,
    "{} with the opposite sign": lambda a: -a,
    "{} without its negative entries": lambda a: np.maximum(a, 0),
    "{} squared": lambda a: a * a,
    "the root of {}": np.sqrt,
    "{} to the third power": lambda a: a**3,
    "the exponential of {}": np.exp,
    "the logarithm of {}": np.log,
    "{} rounded to whole numbers": np.round,
    "{} cut to whole numbers": np.trunc,
    "{} in float16": lambda a: a.astype(np.float16),
    "{} rounded to a multiple of 1/256": lambda a: np.round(a * 256) / 256,
    "{} rounded to a multiple of 1/255": lambda a: np.round(a * 255) / 255,
    "{} read backwards along its last axis": _flip(-1),
    "{} read backwards along its last axis but one": _flip(-2),
    "{} read backwards along its last two axes": lambda a: a[..., ::-1, ::-1],
    "{} read backwards along its third last axis": _flip(-3),
    "{} read backwards along its first axis": lambda a: a[::-1],
    "the reciprocal of {}": np.reciprocal,
    "the logarithm of 1 plus {}": lambda a: np.log1p(np.maximum(a, 0)),
    "{} divided by its standard deviation": lambda a: a / (a.std() or 1.0),
    "{} with its last two axes swapped": lambda a: a.swapaxes(-1, -2),
    "{} with its first two axes swapped": lambda a: a.swapaxes(0, 1),
    "{} moved on by one along its last axis": _roll(1, -1),
    "{} moved on by one along its last axis but one": _roll(1, -2),
    "{} moved back by one along its last axis": _roll(-1, -1),
    "{} moved back by one along its last axis but one": _roll(-1, -2),
    "the first entry of {}'s last axis for all": lambda a: np.repeat(a[..., :1], a.shape[-1], -1),
    "the mean over {}'s last axis for all": lambda a: 0 * a + a.mean(-1, keepdims=True),
    "the middle of {}'s last two axes alone": _centre,
    "{} without the first item of its first axis": _without(0, 0),
    "{} without the last item of its first axis": _without(-1, 0),
    "{} of the first image alone": lambda a: _rest_zero(a, 0),
    "{} of the first channel alone": lambda a: _rest_zero(a, min(1, a.ndim - 1)),
    "{} without the last entry of its last axis": _without(-1, -1),
    "{} without the first entry of its last axis": _without(0, -1),
    "{} without its last channel": _without(-1, 1),
    "{} without its first channel": _without(0, 1),
    "{}, each item of its first axis divided by its norm": lambda a: a / np.sqrt(_sums(a**2)),
    "{}, each item of its first axis divided by its L1 norm": lambda a: a / _sums(np.abs(a)),
    "{}, each item of its first axis divided by its sum": lambda a: a / _sums(a),
    "{}, each item of its first axis less its mean": lambda a: a - _sums(a) / max(1, a[0].size),
    "{}, each plane less its mean": lambda a: a - a.mean((-2, -1), keepdims=True),
    "{} cut off below 0 and above 1": lambda a: np.clip(a, 0, 1),
    "{} cut off below -1 and above 1": lambda a: np.clip(a, -1, 1),
    "the softmax of {} along its first axis": lambda a: softmax(a, axis=0),
    "the softmax of {} along its second axis": lambda a: softmax(a, axis=min(1, a.ndim - 1)),
    "the softmax of minus {} along its first axis": lambda a: softmax(-a, axis=0),
    "minus the softmax of minus {} along its first axis": lambda a: -softmax(-a, axis=0),
    "{} less its mean": lambda a: a - a.mean(),
    "{} divided by its largest magnitude": lambda a: a / np.abs(a).max(),
    "{} divided by its sum": lambda a: a / a.sum(),
}
"""Other arrays; one of another shape than the right one is not tried."""

NUMBERS: dict[str, Callable[[Any], Any]] = {
    "{} larger by one": lambda v: _each(v, lambda n: n + 1),
    "{} smaller by one": lambda v: _each(v, lambda n: n - 1),
    "{} doubled": lambda v: _each(v, lambda n: 2 * n),
    "{} halved": lambda v: _each(v, lambda n: n // 2 if isinstance(n, int) else n / 2),
    "0 as {}": lambda v: 0,
    "1 as {}": lambda v: 1,
    "{} with the opposite sign": lambda v: _each(v, lambda n: -n),
    "{} squared": lambda v: _each(v, lambda n: n * n),
    "the reciprocal of {}": lambda v: _each(v, lambda n: 1 / n),
    "{} in the opposite order": lambda v: v[::-1],
    "{} with each pair exchanged": lambda v: tuple(v[i ^ 1] for i in range(len(v))),
    "{} with its first two exchanged": lambda v: (v[1], v[0], *v[2:]),
    "{} with its last two exchanged": lambda v: (*v[:-2], v[-1], v[-2]),
    "{} with its first pair for all": lambda v: v[:2] * (len(v) // 2),
    "{} with its last pair for all": lambda v: v[-2:] * (len(v) // 2),
    "the height's {} for both axes": lambda v: two(v)[0],
    "the width's {} for both axes": lambda v: two(v)[1],
}
"""Other numbers, or tuples of numbers."""

MEANS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "the root of the squared input's": (np.square, np.sqrt),
    "the logarithm of the exponential input's": (np.exp, np.log),
    "the exponential of the input's logarithm's": (np.log, np.exp),
    "the reciprocal of the input's reciprocal's": (np.reciprocal, np.reciprocal),
}
"""Other means than the arithmetic one: what to do to the input, and to the result."""

JOINS = {"times": np.multiply, "divided by": np.divide, "plus": np.add}

NEUTRAL = {"stride": 1, "dilation": 1, "padding": 0, "output_padding": 0, "groups": 1}
"""Values of options that change nothing, whether they are given or not."""


def two(value: Any) -> tuple[Any, Any]:
    """Return an option that is a number or a pair as a pair."""
    return tuple(np.broadcast_to(value, 2).tolist())


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    return tuple(map(change, value)) if isinstance(value, tuple) else change(value)
