"""Guesses that an array is another: |x| for x, the image over 255, the bias times the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from scipy.special import softmax

from minideeplab.testing.evidence import Evidence
from minideeplab.testing.guesses.calls import Call, Calls, Change, Options, examples
from minideeplab.testing.guesses.fitting import times
from minideeplab.testing.guesses.sizes import Size, factors
from minideeplab.testing.mutant import Mutant, right


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


def _exchanged(first: int, second: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a change that exchanges two axes of equal length, of which no shape would tell."""

    def change(array: np.ndarray) -> np.ndarray:
        same = array.ndim > 1 and array.shape[first] == array.shape[second]
        return array.swapaxes(first, second) if same else array

    return change


def _centre(array: np.ndarray) -> np.ndarray:
    """Return ``array`` with zeros but in the middle of its last two axes."""
    middle = np.zeros(array.shape[-2:])
    middle[array.shape[-2] // 2, array.shape[-1] // 2] = 1
    return array * middle


def _sums(array: np.ndarray) -> np.ndarray:
    """Return the sums over all axes but the first, kept."""
    return array.sum(axis=tuple(range(1, array.ndim)), keepdims=True)


def _unit_norm(array: np.ndarray) -> np.ndarray:
    """Return ``array`` with every item along its first axis divided by its norm."""
    return array / np.sqrt(_sums(array**2))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "zeros for the {}": np.zeros_like,
    "ones for the {}": np.ones_like,
    "the absolute value of the {}": np.abs,
    "the {} with the opposite sign": lambda a: -a,
    "the {} without its negative entries": lambda a: np.maximum(a, 0),
    "the {} squared": lambda a: a * a,
    "the root of the {}": np.sqrt,
    "the {} to the third power": lambda a: a**3,
    "the exponential of the {}": np.exp,
    "the logarithm of the {}": np.log,
    "the {} rounded to whole numbers": np.round,
    "the {} cut to whole numbers": np.trunc,
    "the {} in float16": lambda a: a.astype(np.float16),
    "the {} read backwards along its last axis": lambda a: a[..., ::-1],
    "the {} read backwards along its last axis but one": lambda a: np.flip(a, max(-2, -a.ndim)),
    "the {} read backwards along its third last axis": lambda a: np.flip(a, max(-3, -a.ndim)),
    "the reciprocal of the {}": np.reciprocal,
    "the logarithm of 1 plus the {}": lambda a: np.log1p(np.maximum(a, 0)),
    "the {} divided by its standard deviation": lambda a: a / (a.std() or 1.0),
    "the {} read backwards along its first axis": lambda a: a[::-1],
    "the {} with its last two axes exchanged": _exchanged(-1, -2),
    "the {} with its first two axes exchanged": _exchanged(0, 1),
    "the {} moved on by one along its last axis": lambda a: np.roll(a, 1, -1),
    "the {} moved on by one along its last axis but one": lambda a: np.roll(a, 1, max(-2, -a.ndim)),
    "the {} moved back by one along its last axis": lambda a: np.roll(a, -1, -1),
    "the {} moved back by one along its last axis but one": (
        lambda a: np.roll(a, -1, max(-2, -a.ndim))
    ),
    "the first entry of the {}'s last axis for all": lambda a: np.repeat(
        a[..., :1], a.shape[-1], -1
    ),
    "the mean over the {}'s last axis for all": lambda a: 0 * a + a.mean(-1, keepdims=True),
    "the middle of the {}'s last two axes alone": _centre,
    "the {} without the first item of its first axis": _without(0, 0),
    "the {} without the last item of its first axis": _without(-1, 0),
    "the {} of the first image alone": lambda a: _rest_zero(a, 0),
    "the {} of the first channel alone": lambda a: _rest_zero(a, min(1, a.ndim - 1)),
    "the {} without the last entry of its last axis": _without(-1, -1),
    "the {} without the first entry of its last axis": _without(0, -1),
    "the {} without its last channel": _without(-1, 1),
    "the {} without its first channel": _without(0, 1),
    "the {}, each item of its first axis divided by its norm": _unit_norm,
    "the {}, each item of its first axis divided by its sum of magnitudes": (
        lambda a: a / _sums(np.abs(a))
    ),
    "the {}, each item of its first axis divided by its sum": lambda a: a / _sums(a),
    "the {}, each item of its first axis less its mean": (
        lambda a: a - _sums(a) / max(1, a[0].size)
    ),
    "the {}, each plane less its mean": lambda a: a - a.mean((-2, -1), keepdims=True),
    "the {} cut off below 0 and above 1": lambda a: np.clip(a, 0, 1),
    "the {} cut off below -1 and above 1": lambda a: np.clip(a, -1, 1),
    "the softmax of the {} along its first axis": lambda a: softmax(a, axis=0),
    "the softmax of the {} along its second axis": lambda a: softmax(a, axis=min(1, a.ndim - 1)),
    "the softmax of minus the {} along its first axis": lambda a: softmax(-a, axis=0),
    "minus the softmax of minus the {} along its first axis": lambda a: -softmax(-a, axis=0),
    "the {} less its mean": lambda a: a - a.mean(),
    "the {} divided by its largest magnitude": lambda a: a / np.abs(a).max(),
    "the {} divided by its sum": lambda a: a / a.sum(),
}

JOINS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "times": np.multiply,
    "divided by": np.divide,
    "plus": np.add,
}


def other_arrays(op: str, rows: Sequence[Evidence], backward: bool) -> Iterator[Mutant]:
    """Yield the operation with one of its arrays changed: as a whole, by a factor, by another."""
    calls = Calls(op, backward)
    named = (["gradient of the output"] if backward else []) + calls.names
    for position, name in enumerate(named):
        for text, change in CHANGES.items():
            yield calls.mutant(text.format(name), _changed(position, change))
        for row in examples(rows):
            yield from _fitted(calls, row, position, name)
        for text, factor in factors(op):
            yield calls.mutant(f"the {name} {text}", _scaled(position, factor, backward))
    for (i, one), (j, other) in permutations(enumerate(named), 2):
        for text, join in JOINS.items():
            yield calls.mutant(f"the {one} {text} the {other}", _joined(i, j, join))
    if backward:
        yield calls.mutant("the output instead of its gradient", _output_for_gradient(op))


def _changed(position: int, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Return a change of the array at ``position``, if it holds numbers and is given."""

    def changed(arrays: list[Any], options: Options) -> Call:
        given = arrays[position] if position < len(arrays) else None
        if given is not None and given.dtype.kind == "f" and given.size:
            with np.errstate(all="ignore"):
                arrays[position] = np.ascontiguousarray(change(given)).astype(given.dtype)
        return arrays, options

    return changed


def _fitted(calls: Calls, row: Evidence, position: int, name: str) -> Iterator[Mutant]:
    """Yield the array times, and plus, the number with which this row comes out as it did."""
    for said, change in (
        (times, lambda c: _changed(position, lambda a: c * a)),
        ("plus {:.6g}".format, lambda c: _changed(position, lambda a: a + c)),
    ):
        number = calls.fitted(row, change)
        if number is not None:
            yield calls.mutant(f"the {name} {said(number)}", change(number))


def _scaled(position: int, factor: Size, backward: bool) -> Change:
    """Return a change of the array at ``position`` by a factor that the call itself suggests."""

    def changed(arrays: list[Any], options: Options) -> Call:
        shape = arrays[0].shape if backward else ()
        number = factor(arrays[backward:], options, shape)
        return _changed(position, lambda a: a * number)(arrays, options)

    return changed


def _joined(i: int, j: int, join: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Change:
    """Return a change of array i by array j, if they have the same shape."""

    def changed(arrays: list[Any], options: Options) -> Call:
        if max(i, j) < len(arrays) and np.shape(arrays[i]) == np.shape(arrays[j]):
            return _changed(i, lambda a: join(a, arrays[j]))(arrays, options)
        return arrays, options

    return changed


def _output_for_gradient(op: str) -> Change:
    def changed(arrays: list[Any], options: Options) -> Call:
        copies = [a if a is None else a.copy() for a in arrays[1:]]
        y = right(op)(*copies, **options)
        return [y[0] if isinstance(y, tuple) else np.asarray(y), *arrays[1:]], options

    return changed
