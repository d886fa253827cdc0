"""Guesses that the right function was called with other arguments or options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations
from typing import Any

import numpy as np

from minideeplab.diagnosis.changes import ARRAYS, JOINS, MEANS, NEUTRAL, NUMBERS, two
from minideeplab.diagnosis.evidence import Evidence, Raised, Results
from minideeplab.diagnosis.fitting import solve, times
from minideeplab.diagnosis.known import INVALID, Mistake, Prediction
from minideeplab.diagnosis.sizes import Size, factors

Named = dict[str, Any]
Change = Callable[[Named, Evidence], Named]
"""Takes a call's arguments and options by name, defaults included, and returns other values."""


@dataclass(frozen=True)
class Function:
    """The right function, as guesses call it.

    Attributes:
        forward: ``forward(arguments, options)`` returns the results by name.
        arguments: names of the arguments, each with how it is called in words.
        backward: the same for gradients; "grad_out" is among the arguments.
        defaults: of the options.
        samples: for each option the values that the cases have.
        groups: options that one factor would scale at once.
        border: whether an option "padding" borders the first argument with zeros.
        sizes: counts by which something may be multiplied.
        fits: whether numbers may be fitted, which needs many calls.
        text: what is said of results, the changed argument in the place of {}.
    """

    forward: Callable[[Named, Named], Results]
    arguments: Mapping[str, str]
    backward: Callable[[Named, Named], Results] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    samples: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    groups: Sequence[Sequence[str]] = ()
    border: bool = False
    sizes: Mapping[str, Size] = field(default_factory=dict)
    fits: bool = True
    text: str = "the results are those of {}"


@dataclass(frozen=True)
class Calls:
    """Calls of a function with changed arguments, for its results or for its gradients."""

    function: Function
    gradients: bool = False

    def mistake(self, text: str, change: Change, fitted: bool = False) -> Mistake:
        """Return the mistake of calling the function after a change."""
        said = "the gradients are those of {}" if self.gradients else self.function.text
        return Mistake(said.format(text), lambda row: self.result(row, change), fitted=fitted)

    def result(self, row: Evidence, change: Change) -> Prediction | None:
        """Return what the changed call gives in a case; None where the change has no meaning."""
        arguments, options = row.arguments(), dict(row.options)
        if self.gradients:
            arguments["grad_out"] = np.array(row.cotangent)
        full = {**self.function.defaults, **options, **arguments}
        try:
            with np.errstate(all="ignore"):
                new = {name: _fitting(v, full.get(name)) for name, v in change(full, row).items()}
        except INVALID:
            return None
        new = {name: value for name, value in new.items() if value is not None}
        if not new:
            return Prediction({})  # as it is: nothing is wrong
        arguments |= {name: value for name, value in new.items() if name in arguments}
        options |= {name: value for name, value in new.items() if name not in arguments}
        try:
            call = self.function.backward if self.gradients else self.function.forward
            return Prediction(call(arguments, options))
        except Exception as error:  # whatever the function does with arguments that it refuses
            return Prediction(Raised(type(error).__name__, str(error)))

    def solved(
        self, row: Evidence, change: Callable[[float], Change]
    ) -> Iterator[tuple[float, Change]]:
        """Yield the number for which the changed call gives what the row gave, if there is one."""
        wrong = row.relevant(self.gradients)
        if not wrong or row.raised or wrong[0].kind != "value":
            return

        def results(number: float) -> np.ndarray | None:
            found = self.result(row, change(number))
            if found is None or isinstance(found.results, Raised):
                return None
            return found.results.get(wrong[0].what)

        number = solve(results, np.asarray(row.got[wrong[0].what], np.float64))
        if number is not None:
            yield number, change(number)


def _fitting(value: Any, old: Any) -> Any:
    """Return a new value in the dtype of the old array; None if the array cannot be changed so."""
    if not isinstance(old, np.ndarray):
        return value
    if not old.size or old.dtype.kind not in "fiu" or np.ndim(value) != old.ndim:
        return None
    return np.ascontiguousarray(value).astype(old.dtype)


def _of(name: str, change: Callable[[Any], Any]) -> Change:
    """Return a change of one value, which keeps the shape of an array."""

    def apply(full: Named, row: Evidence) -> Named:
        value = full.get(name)
        other = None if value is None else change(value)
        same = not isinstance(value, np.ndarray) or np.shape(other) == value.shape
        return {name: other} if value is not None and same else {}

    return apply


def other_arguments(
    function: Function, rows: Sequence[Evidence], gradients: bool
) -> Iterator[Mistake]:
    """Yield guesses that an argument is another: changed, scaled, or joined with another one."""
    calls = Calls(function, gradients)
    named = dict(function.arguments)
    if gradients:
        named = {"grad_out": "the gradient of the output", **named}
    for name, said in named.items():
        kinds = {_kind(row.arrays.get(name)) for row in rows}
        for table in [ARRAYS] * ("array" in kinds) + [NUMBERS] * ("number" in kinds):
            for text, change in table.items():
                yield calls.mistake(text.format(said), _of(name, change))
        if "array" in kinds and function.fits:
            for text, factor in factors(function.sizes):
                scaled = lambda a, row, n=name, f=factor: {n: a[n] * f(row)}  # noqa: E731
                yield calls.mistake(f"{said} {text}", scaled, fitted=True)
            for row in examples(rows):
                yield from _fitted(calls, row, [name], said)
    for (one, said), (other, words) in permutations(named.items(), 2) if function.fits else ():
        for text, join in JOINS.items():
            yield calls.mistake(f"{said} {text} {words}", _joined(one, other, join))
    if gradients:
        yield calls.mistake(
            "the output instead of its gradient", lambda a, row: {"grad_out": row.right["output"]}
        )
    elif function.fits:
        yield from _means(calls, next(iter(function.arguments)))


def _kind(value: Any) -> str:
    """Return in which table the changes of an argument are, "" if it is not changed."""
    if isinstance(value, np.ndarray):
        return "array" if value.size and value.dtype.kind in "fiu" else ""
    numbers = value if isinstance(value, tuple) else (value,)
    return "number" if numbers and all(type(n) in (int, float) for n in numbers) else ""


def _joined(one: str, other: str, join: Callable[[Any, Any], Any]) -> Change:
    def apply(full: Named, row: Evidence) -> Named:
        a, b = full.get(one), full.get(other)
        return {one: join(a, b)} if b is not None and np.shape(a) == np.shape(b) else {}

    return apply


def _means(calls: Calls, name: str) -> Iterator[Mistake]:
    """Yield other means than the arithmetic one: the input is changed, and the result back."""
    for text, (before, after) in MEANS.items():

        def predict(row: Evidence, f: Any = before, g: Any = after) -> Prediction | None:
            found = calls.result(row, _of(name, f))
            if found is None or isinstance(found.results, Raised) or not found.results:
                return found
            with np.errstate(all="ignore"):
                back = np.asarray(g(found.results["output"])).astype(row.dtype)
            return Prediction({**found.results, "output": back})

        yield Mistake(f"every result is {text}", predict)


def other_options(
    function: Function, rows: Sequence[Evidence], gradients: bool
) -> Iterator[Mistake]:
    """Yield guesses that options are others: changed, exchanged, multiplied, or fitted."""
    calls = Calls(function, gradients)
    plain = {name: values[-1] for name, values in function.samples.items()}
    plain |= {name: value for name, value in function.defaults.items() if value is not None}
    for name, value in plain.items():
        for text, change in _changes(function, name, value):
            yield calls.mistake(text, _of(name, change))
    numbers = [name for name, v in plain.items() if not isinstance(v, bool | str)]
    for a, b in combinations(numbers, 2):
        exchanged = lambda full, row, a=a, b=b: {a: full[b], b: full[a]}  # noqa: E731
        yield calls.mistake(f"{a} and {b} exchanged", exchanged)
    for a, b in permutations(numbers, 2):
        product = lambda full, row, a=a, b=b: {a: _product(full[a], full[b])}  # noqa: E731
        yield calls.mistake(f"{a} times {b}", product)
    single = [(name,) for name, value in plain.items() if type(value) is float]
    for row in examples(rows) if function.fits else ():
        for names in (*function.groups, *single):
            yield from _fitted(calls, row, names, " and ".join(names))
        for number, change in calls.solved(row, _bordered) if function.border else ():
            yield calls.mistake(f"a border that counts as {number:.6g}", change, fitted=True)


def _product(one: Any, other: Any) -> Any:
    product = np.broadcast_to(one, 2) * np.broadcast_to(other, 2)
    return float(product[0]) if isinstance(one, float) else tuple(product.tolist())


def _changes(
    function: Function, name: str, value: Any
) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Yield changes of an option with their texts."""
    if name in function.defaults:
        default = function.defaults[name]
        yield f"the default {name}, whatever is asked", lambda v: default
    if name in NEUTRAL:
        none = NEUTRAL[name]
        yield f"the {name} in the height alone", lambda v: (two(v)[0], none)
        yield f"the {name} in the width alone", lambda v: (none, two(v)[1])
        yield f"{name} with height and width exchanged", lambda v: two(v)[::-1]
    if isinstance(value, bool | str):
        for other in sorted({v for v in function.samples.get(name, ()) if type(v) is type(value)}):
            yield f"{name}={other!r}, whatever is asked", lambda v, other=other: other
    else:
        yield from ((text.format(name), change) for text, change in NUMBERS.items())


def examples(rows: Sequence[Evidence]) -> Iterator[Evidence]:
    """Yield up to three rows to fit numbers on: small and large ones with finite results."""
    good = [
        row for row in rows
        if not row.raised and row.alike is None and "output" in row.got
        and np.size(row.right["output"]) and np.all(np.isfinite(row.right["output"]))
    ]  # fmt: skip
    good.sort(key=lambda row: np.size(row.got["output"]))
    if good:
        yield from (good[i] for i in sorted({0, len(good) // 2, len(good) - 1}))


def _fitted(calls: Calls, row: Evidence, names: Sequence[str], said: str) -> Iterator[Mistake]:
    """Yield values times, plus, or always, the number with which this row gives what it gave."""

    def all_of(change: Callable[[Any, float], Any]) -> Callable[[float], Change]:
        return lambda c: lambda full, row: {n: change(full[n], c) for n in names if n in full}

    plus = ("plus {:.6g}".format, lambda v, c: v + c)
    fixed = ("= {:.6g}, whatever is asked".format, lambda v, c: c)
    for text, change in ((times, lambda v, c: c * v), plus if names[0] in row.arrays else fixed):
        for number, made in calls.solved(row, all_of(change)):
            yield calls.mistake(f"{said} {text(number)}", made, fitted=True)


def _bordered(number: float) -> Change:
    """Return a change that pads the input with ``number`` and asks for no padding any more."""

    def apply(full: Named, row: Evidence) -> Named:
        name, padding = next(iter(row.arrays)), full.get("padding", 0)
        if isinstance(padding, str) or not full[name].size:
            return {}
        sides = [(0, 0)] * (full[name].ndim - 2) + [(p, p) for p in two(padding)]
        return {name: np.pad(full[name], sides, constant_values=number), "padding": 0}

    return apply
