"""Guesses that an option is another: eps always 1e-3, two widths exchanged, one row too many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations
from typing import Any

import numpy as np

from minideeplab.testing.cases import TABLE
from minideeplab.testing.evidence import Evidence
from minideeplab.testing.guesses.calls import Call, Calls, Change, Options, examples
from minideeplab.testing.guesses.fitting import times
from minideeplab.testing.mutant import Mutant, pair
from minideeplab.testing.traits import NEUTRAL


def _plus(value: Any, step: int) -> Any:
    return tuple(n + step for n in value) if isinstance(value, tuple) else value + step


CHANGES: dict[str, Callable[[Any], Any]] = {
    "{} one larger": lambda v: _plus(v, 1),
    "{} one smaller": lambda v: _plus(v, -1),
    "{} doubled": lambda v: tuple(2 * n for n in v) if isinstance(v, tuple) else 2 * v,
    "{} 0, whatever is asked": lambda v: 0,
    "{} 1, whatever is asked": lambda v: 1,
    "{} with the opposite sign": lambda v: -v,
    "{} squared": lambda v: tuple(n * n for n in v) if isinstance(v, tuple) else v * v,
    "{} in the opposite order": lambda v: v[::-1],
    "{} with each pair exchanged": lambda v: tuple(v[i ^ 1] for i in range(len(v))),
    "{} with its first two exchanged": lambda v: (v[1], v[0], *v[2:]),
    "{} with its last two exchanged": lambda v: (*v[:-2], v[-1], v[-2]),
    "{} with its first pair for all": lambda v: v[:2] * (len(v) // 2),
    "{} with its last pair for all": lambda v: v[-2:] * (len(v) // 2),
    "{} with height and width exchanged": lambda v: pair(v)[::-1],
    "the height's {} for both axes": lambda v: pair(v)[0],
    "the width's {} for both axes": lambda v: pair(v)[1],
}

BORDERED = ("conv2d", "max_pool2d", "avg_pool2d")

TOGETHER = {
    "dense_crf": (
        ("gaussian_sxy", "bilateral_sxy", "bilateral_srgb"),
        ("gaussian_sxy", "bilateral_sxy"),
        ("bilateral_sxy", "bilateral_srgb"),
        ("gaussian_compat", "bilateral_compat"),
    )
}
"""Options that one factor would scale at once."""


def other_options(op: str, rows: Sequence[Evidence], backward: bool) -> Iterator[Mutant]:
    """Yield the operation with options changed, exchanged, multiplied, or fitted to the rows."""
    calls = Calls(op, backward)
    for name, value in calls.options.items():
        if name in calls.defaults:
            change = _changed(calls, [name], lambda _, default=calls.defaults[name]: default)
            yield calls.mutant(f"the default {name}, whatever is asked", change)
        if name in NEUTRAL:
            for axis, alone in enumerate(("height", "width")):
                change = _changed(calls, [name], _on_one_axis(axis, NEUTRAL[name]))
                yield calls.mutant(f"the {name} in the {alone} alone", change)
        if isinstance(value, bool | str):
            for other in sorted({row.options[name] for row in TABLE[op] if name in row.options}):
                change = _changed(calls, [name], lambda _, other=other: other)
                yield calls.mutant(f"{name}={other!r}, whatever is asked", change)
        else:
            for text, function in CHANGES.items():
                yield calls.mutant(text.format(name), _changed(calls, [name], function))
    numbers = [name for name, v in calls.options.items() if not isinstance(v, bool | str)]
    for one, other in combinations(numbers, 2):
        yield calls.mutant(f"{one} and {other} exchanged", _exchanged(calls, one, other))
    for one, other in permutations(numbers, 2):
        yield calls.mutant(f"{one} times {other}", _multiplied(calls, one, other))
    for row in examples(rows):
        yield from _fitted(calls, row)
        if op in BORDERED and not backward:
            number = calls.fitted(row, _bordered)
            if number is not None:
                yield calls.mutant(f"a border that counts as {number:.6g}", _bordered(number))


def _on_one_axis(axis: int, neutral: int) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        if isinstance(value, str):
            return value
        return (pair(value)[0], neutral) if axis == 0 else (neutral, pair(value)[1])

    return change


def _bordered(number: float) -> Change:
    """Return a change that pads the input with ``number`` and asks for no padding any more."""

    def changed(arrays: list[Any], options: Options) -> Call:
        padding = options.get("padding", 0)
        if isinstance(padding, str) or not arrays[0].size:
            return arrays, options
        sides = [(0, 0)] * (arrays[0].ndim - 2) + [(p, p) for p in pair(padding)]
        wide = np.pad(arrays[0], sides, constant_values=number)
        return [wide, *arrays[1:]], options | {"padding": 0}

    return changed


def _changed(calls: Calls, names: Sequence[str], change: Callable[[Any], Any]) -> Change:
    """Return a change of the values of options, given or by default."""

    def changed(arrays: list[Any], options: Options) -> Call:
        full = calls.defaults | options
        given = [name for name in names if full.get(name) is not None]
        return arrays, options | {name: change(full[name]) for name in given}

    return changed


def _exchanged(calls: Calls, one: str, other: str) -> Change:
    def changed(arrays: list[Any], options: Options) -> Call:
        full = calls.defaults | options
        return arrays, options | {one: full[other], other: full[one]}

    return changed


def _multiplied(calls: Calls, one: str, other: str) -> Change:
    def changed(arrays: list[Any], options: Options) -> Call:
        full = calls.defaults | options
        if isinstance(full[one], str):
            return arrays, options
        product = np.broadcast_to(full[one], 2) * np.broadcast_to(full[other], 2)
        simple = isinstance(full[one], float)
        return arrays, options | {one: float(product[0]) if simple else tuple(product.tolist())}

    return changed


def _fitted(calls: Calls, row: Evidence) -> Iterator[Mutant]:
    """Yield options times, or always, the number with which this row comes out as it did."""
    single = [(name,) for name, value in calls.options.items() if type(value) is float]
    for names in (*TOGETHER.get(calls.op, ()), *single):
        for said, change in (
            (times, lambda c, names=names: _changed(calls, names, lambda v: c * v)),
            ("= {:.6g}, whatever is asked".format,
             lambda c, names=names: _changed(calls, names, lambda v: c)),
        ):  # fmt: skip
            number = calls.fitted(row, change)
            if number is not None:
                yield calls.mutant(f"{' and '.join(names)} {said(number)}", change(number))
