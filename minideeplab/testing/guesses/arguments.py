"""Guesses that an argument is another: |x| for x, the image over 255, eps always 1e-3."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from minideeplab.testing.cases import TABLE
from minideeplab.testing.evidence import Evidence
from minideeplab.testing.frameworks import operation
from minideeplab.testing.guesses.fitting import solve
from minideeplab.testing.mutants.base import Mutant, pair, right, right_backward

Call = tuple[list[Any], dict[str, Any]]
Change = Callable[[list[Any], dict[str, Any]], Call]
"""Takes a call's arrays and options and returns others."""

ARRAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the absolute value of the {}": np.abs,
    "the {} with the opposite sign": lambda a: -a,
    "the {} without its negative entries": lambda a: np.maximum(a, 0),
    "the {} squared": lambda a: a * a,
    "the {} to the third power": lambda a: a**3,
    "the {} cut to whole numbers": np.trunc,
    "the {} in float16": lambda a: a.astype(np.float16),
    "the {} read backwards along its last axis": lambda a: a[..., ::-1],
    "the {} read backwards along its last axis but one": lambda a: np.flip(a, max(-2, -a.ndim)),
    "the {} read backwards along its first axis": lambda a: a[::-1],
    "the {} with its last two axes exchanged": lambda a: a.swapaxes(-1, max(-2, -a.ndim)),
    "the {} moved on by one along its last axis": lambda a: np.roll(a, 1, -1),
    "the {} moved on by one along its last axis but one": lambda a: np.roll(a, 1, max(-2, -a.ndim)),
    "the {} moved back by one along its last axis": lambda a: np.roll(a, -1, -1),
    "the first channel of the {} for all": lambda a: np.repeat(a[..., :1], a.shape[-1], -1),
    "the {} divided by the norm of each of its first axis's entries": lambda a: (
        a / np.sqrt((a * a).sum(axis=tuple(range(1, a.ndim)), keepdims=True))
    ),
    "the {} less its mean": lambda a: a - a.mean() if a.size else a,
    "the {} divided by its largest magnitude": lambda a: (
        a / np.abs(a).max() if a.size and a.any() else a
    ),
    "the exponential of the {}": np.exp,
}

OPTIONS: dict[str, Callable[[Any], Any]] = {
    "{} one larger": lambda v: tuple(n + 1 for n in v) if isinstance(v, tuple) else v + 1,
    "{} one smaller": lambda v: tuple(n - 1 for n in v) if isinstance(v, tuple) else v - 1,
    "{} 0, whatever is asked": lambda v: 0,
    "{} 1, whatever is asked": lambda v: 1,
    "{} with height and width exchanged": lambda v: pair(v)[::-1],
    "the height's {} for both axes": lambda v: pair(v)[0],
    "the width's {} for both axes": lambda v: pair(v)[1],
}

TOGETHER = {
    "dense_crf": (
        ("gaussian_sxy", "bilateral_sxy", "bilateral_srgb"),
        ("gaussian_sxy", "bilateral_sxy"),
        ("bilateral_sxy", "bilateral_srgb"),
        ("gaussian_compat", "bilateral_compat"),
    )
}
"""Options that one factor would scale at once."""


@dataclass(frozen=True)
class Calls:
    """The operation called otherwise; ``backward`` for its gradients, else its results."""

    op: str
    backward: bool

    @property
    def names(self) -> list[str]:
        """Return the names of the array arguments."""
        return list(max((row.arrays for row in TABLE[self.op]), key=len))

    @property
    def defaults(self) -> dict[str, Any]:
        """Return the options with their default values."""
        parameters = inspect.signature(operation("minideeplab", self.op)).parameters
        given = list(parameters.values())[len(self.names) :]
        return {p.name: p.default for p in given if p.default is not p.empty}

    def mutant(self, text: str, change: Change) -> Mutant:
        """Return the operation whose every call is changed first."""
        op = self.op

        def forward(*arrays: Any, **options: Any) -> Any:
            sent, asked = change(list(arrays), options)
            return right(op)(*sent, **asked)

        def backward(grad_out: np.ndarray, *arrays: Any, **options: Any) -> Any:
            sent, asked = change([grad_out, *arrays], options)
            return right_backward(op)(*sent, **asked)

        if self.backward:
            return Mutant(op, "", f"the gradients are those of {text}", backward=backward)
        return Mutant(op, "", f"the results are those of {text}", forward=forward)

    def array(self, position: int, change: Callable[[np.ndarray], np.ndarray]) -> Change:
        """Return a change of the array at ``position`` (with the cotangent at 0, if backward)."""

        def changed(arrays: list[Any], options: dict[str, Any]) -> Call:
            if position < len(arrays) and arrays[position] is not None:
                given = arrays[position]
                with np.errstate(all="ignore"):
                    arrays[position] = np.ascontiguousarray(change(given)).astype(given.dtype)
            return arrays, options

        return changed

    def option(self, names: Sequence[str], change: Callable[[Any], Any]) -> Change:
        """Return a change of the values of options, given or by default."""

        def changed(arrays: list[Any], options: dict[str, Any]) -> Call:
            full = self.defaults | options
            return arrays, options | {name: change(full[name]) for name in names}

        return changed


def other_arguments(op: str, rows: Sequence[Evidence], backward: bool) -> Iterator[Mutant]:
    """Yield the operation with other arguments: fixed changes first, then the fitted ones."""
    calls = Calls(op, backward)
    named = (["gradient of the output"] if backward else []) + calls.names
    example = rows[0].case.arguments("float64")
    floats = [i for i, n in enumerate(named) if n not in example or _is_float(example[n])]
    for position in floats:
        for text, change in ARRAYS.items():
            yield calls.mutant(text.format(named[position]), calls.array(position, change))
        if position > backward:  # optional arrays
            yield calls.mutant(f"no {named[position]}", calls.array(position, _left_out))
    yield from _other_options(calls)
    for row in _chosen(rows):
        yield from _fitted(calls, row, named, floats, backward)


def _is_float(array: np.ndarray | None) -> bool:
    return array is None or array.dtype.kind == "f"


def _left_out(array: np.ndarray) -> np.ndarray:
    return np.zeros_like(array)


def _other_options(calls: Calls) -> Iterator[Mutant]:
    """Yield the operation with whole numbers changed, switches set, two options exchanged."""
    for name, default in calls.defaults.items():
        if isinstance(default, bool):
            for value in (True, False):
                change = calls.option([name], lambda _, value=value: value)
                yield calls.mutant(f"{name}={value}, whatever is asked", change)
        elif isinstance(default, int | float):
            for text, change in OPTIONS.items():
                yield calls.mutant(text.format(name), calls.option([name], change))
    for one, other in combinations(calls.defaults, 2):
        kinds = {type(calls.defaults[one]), type(calls.defaults[other])}
        if len(kinds) == 1 and kinds <= {int, float}:
            yield calls.mutant(f"{one} and {other} exchanged", _exchange(calls, one, other))


def _exchange(calls: Calls, one: str, other: str) -> Change:
    def changed(arrays: list[Any], options: dict[str, Any]) -> Call:
        full = calls.defaults | options
        return arrays, options | {one: full[other], other: full[one]}

    return changed


def _chosen(rows: Sequence[Evidence]) -> list[Evidence]:
    """Return up to three rows to fit numbers on: small and large ones with finite arguments."""
    good = [
        row for row in rows
        if isinstance(row.outcome, dict) and not row.case.tags & {"nan", "empty", "random"}
    ]  # fmt: skip
    good.sort(key=lambda row: np.size(row.outcome["output"]))
    return [good[i] for i in sorted({0, len(good) // 2, len(good) - 1})] if good else []


def _fitted(
    calls: Calls, row: Evidence, named: list[str], floats: list[int], backward: bool
) -> Iterator[Mutant]:
    """Yield changes by a number with which this row comes out as it did."""
    for position in floats:
        name = named[position]
        for text, change in (
            (f"the {name} times {{:.6g}}", lambda c: lambda a: c * a),
            (f"the {name} plus {{:.6g}}", lambda c: lambda a: c + a),
        ):
            found = _number(calls, row, lambda c, f=change, p=position: calls.array(p, f(c)))
            if found is not None:
                yield calls.mutant(text.format(found), calls.array(position, change(found)))
    single = [(n,) for n, v in calls.defaults.items() if type(v) is float and n != "value"]
    for names in (*TOGETHER.get(calls.op, ()), *single):
        said = " and ".join(names)
        for text, change in (
            (f"{said} times {{:.6g}}", lambda c: lambda v: c * v),
            (f"{said} = {{:.6g}}, whatever is asked", lambda c: lambda v: c),
        ):
            found = _number(calls, row, lambda c, f=change, n=names: calls.option(n, f(c)))
            if found is not None:
                yield calls.mutant(text.format(found), calls.option(names, change(found)))


def _number(calls: Calls, row: Evidence, change: Callable[[float], Change]) -> float | None:
    """Return the number for which the changed call gives what the function gave on this row."""
    wrong = row.relevant(calls.backward)
    if not wrong or not isinstance(row.outcome, dict) or wrong[0].kind != "value":
        return None
    what, got = wrong[0].what, np.asarray(row.outcome[wrong[0].what], np.float64)
    arguments = row.case.arguments(row.dtype)
    cotangent = [row.case.cotangent(np.shape(row.outcome["output"]), row.dtype)]
    plain = replace(row.case, updated=())

    def results(c: float) -> np.ndarray | None:
        sent, options = change(c)(
            (cotangent if calls.backward else []) + [
                a if a is None else a.copy() for a in arguments.values()
            ],
            dict(plain.options),
        )  # fmt: skip
        try:
            if calls.backward:
                return right_backward(calls.op)(*sent, **options)[calls.names.index(what[5:])]
            result = right(calls.op)(*sent, **options)
        except (ValueError, TypeError, ArithmeticError):
            return None
        if what.startswith("running"):
            return sent[calls.names.index(what)]
        return result[what == "indices"] if isinstance(result, tuple) else np.asarray(result)

    return solve(results, got)
