"""Guesses that the right function was called with other arguments: an array, a number, an option."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations
from typing import Any

import numpy as np
from scipy.special import softmax

from minideeplab.diagnosis.evidence import Evidence, Raised, Results
from minideeplab.diagnosis.fitting import solve, times
from minideeplab.diagnosis.known import INVALID, Mistake, Prediction
from minideeplab.diagnosis.sizes import Size, factors

Named = dict[str, Any]
Change = Callable[[Named, Named, Evidence], bool]
"""Changes a call's arguments and options in place, and returns whether anything is changed."""


@dataclass(frozen=True)
class Function:
    """The right function, as guesses call it.

    Attributes:
        forward: ``forward(arguments, options)`` returns the results by name.
        backward: ``backward(arguments, options)`` returns the gradients; "grad_out" is among the
            arguments.
        arguments: names of the arguments, each with how it is called in words.
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


def _axis(array: np.ndarray, axis: int) -> int:
    return max(axis, -array.ndim)


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
    "{} read backwards along its last axis": lambda a: a[..., ::-1],
    "{} read backwards along its last axis but one": lambda a: np.flip(a, _axis(a, -2)),
    "{} read backwards along its last two axes": lambda a: a[..., ::-1, ::-1],
    "{} read backwards along its third last axis": lambda a: np.flip(a, _axis(a, -3)),
    "{} read backwards along its first axis": lambda a: a[::-1],
    "the reciprocal of {}": np.reciprocal,
    "the logarithm of 1 plus {}": lambda a: np.log1p(np.maximum(a, 0)),
    "{} divided by its standard deviation": lambda a: a / (a.std() or 1.0),
    "{} with its last two axes swapped": lambda a: a.swapaxes(-1, -2),
    "{} with its first two axes swapped": lambda a: a.swapaxes(0, 1),
    "{} moved on by one along its last axis": lambda a: np.roll(a, 1, -1),
    "{} moved on by one along its last axis but one": lambda a: np.roll(a, 1, _axis(a, -2)),
    "{} moved back by one along its last axis": lambda a: np.roll(a, -1, -1),
    "{} moved back by one along its last axis but one": lambda a: np.roll(a, -1, _axis(a, -2)),
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
    "{}, each item of its first axis divided by its sum of magnitudes": (
        lambda a: a / _sums(np.abs(a))
    ),
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
    "the height's {} for both axes": lambda v: _two(v)[0],
    "the width's {} for both axes": lambda v: _two(v)[1],
}
"""Other numbers, or tuples of numbers."""

NEUTRAL = {"stride": 1, "dilation": 1, "padding": 0, "output_padding": 0, "groups": 1}
"""Values of options that change nothing, whether they are given or not."""

MEANS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "the root of the squared input's": (np.square, np.sqrt),
    "the logarithm of the exponential input's": (np.exp, np.log),
    "the exponential of the input's logarithm's": (np.log, np.exp),
    "the reciprocal of the input's reciprocal's": (np.reciprocal, np.reciprocal),
}
"""Other means than the arithmetic one: what to do to the input, and to the result."""

JOINS = {"times": np.multiply, "divided by": np.divide, "plus": np.add}


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    return tuple(map(change, value)) if isinstance(value, tuple) else change(value)


def _two(value: Any) -> tuple[Any, Any]:
    return tuple(np.broadcast_to(value, 2).tolist())


def other_arguments(
    function: Function, rows: Sequence[Evidence], gradients: bool
) -> Iterator[Mistake]:
    """Yield guesses that an argument is another: changed, scaled, or joined with another one."""
    calls = _Calls(function, gradients)
    named = dict(function.arguments)
    if gradients:
        named = {"grad_out": "the gradient of the output", **named}
    for name, said in named.items():
        kinds = {_kind(row.arrays.get(name)) for row in rows}
        tables = {"array": ARRAYS, "number": NUMBERS, "tuple": NUMBERS}
        for kind in sorted(kinds & set(tables)):
            for text, change in tables[kind].items():
                yield calls.mistake(text.format(said), changed(function, [name], change))
        if "array" in kinds and function.fits:
            for text, factor in factors(function.sizes):
                yield calls.mistake(f"{said} {text}", _scaled(name, factor), fitted=True)
            for row in examples(rows):
                yield from _fitted(calls, row, [name], said)
    for (one, said), (other, words) in permutations(named.items(), 2):
        for text, join in JOINS.items() if function.fits else ():
            yield calls.mistake(f"{said} {text} {words}", _joined(one, other, join))
    if gradients:
        yield calls.mistake("the output instead of its gradient", _output_for_gradient)
    elif function.fits:
        yield from _means(function, next(iter(function.arguments)))


def other_options(
    function: Function, rows: Sequence[Evidence], gradients: bool
) -> Iterator[Mistake]:
    """Yield guesses that options are others: changed, exchanged, multiplied, or fitted."""
    calls = _Calls(function, gradients)
    plain = {name: values[-1] for name, values in function.samples.items()}
    plain |= {name: value for name, value in function.defaults.items() if value is not None}
    for name, value in plain.items():
        for text, change in _changes_of_option(function, name, value):
            yield calls.mistake(text, changed(function, [name], change))
    numbers = [name for name, v in plain.items() if not isinstance(v, bool | str)]
    for one, other in combinations(numbers, 2):
        yield calls.mistake(f"{one} and {other} exchanged", _exchanged(function, one, other))
    for one, other in permutations(numbers, 2):
        yield calls.mistake(f"{one} times {other}", _multiplied(function, one, other))
    single = [(name,) for name, value in plain.items() if type(value) is float]
    for row in examples(rows) if function.fits else ():
        for names in (*function.groups, *single):
            yield from _fitted(calls, row, names, " and ".join(names))
        if function.border and not gradients:
            number = calls.solved(row, _bordered)
            if number is not None:
                text = f"a border that counts as {number:.6g}"
                yield calls.mistake(text, _bordered(number), fitted=True)


def _changes_of_option(
    function: Function, name: str, value: Any
) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    if name in function.defaults:
        default = function.defaults[name]
        yield f"the default {name}, whatever is asked", lambda v: default
    if name in NEUTRAL:
        none = NEUTRAL[name]
        yield f"the {name} in the height alone", lambda v: (_two(v)[0], none)
        yield f"the {name} in the width alone", lambda v: (none, _two(v)[1])
        yield f"{name} with height and width exchanged", lambda v: _two(v)[::-1]
    if isinstance(value, bool | str):
        for other in sorted({v for v in function.samples.get(name, ()) if type(v) is type(value)}):
            yield f"{name}={other!r}, whatever is asked", lambda v, other=other: other
    else:
        yield from ((text.format(name), change) for text, change in NUMBERS.items())


@dataclass(frozen=True)
class _Calls:
    """Calls of a function for its results, or for its gradients."""

    function: Function
    gradients: bool

    def mistake(self, text: str, change: Change, fitted: bool = False) -> Mistake:
        """Return the mistake of calling the function after a change."""
        said = "the gradients are those of {}" if self.gradients else self.function.text
        return Mistake(said.format(text), lambda row: self.result(row, change), fitted=fitted)

    def result(self, row: Evidence, change: Change) -> Prediction | None:
        """Return what the changed call gives in a case; None where the change has no meaning."""
        arguments, options = row.arguments(), dict(row.options)
        if self.gradients:
            arguments["grad_out"] = np.array(row.cotangent)
        try:
            with np.errstate(all="ignore"):
                if not change(arguments, options, row):
                    return Prediction({})  # as it is: nothing is wrong
        except INVALID:
            return None
        try:
            call = self.function.backward if self.gradients else self.function.forward
            return Prediction(call(arguments, options))
        except Exception as error:  # whatever the function does with arguments that it refuses
            return Prediction(Raised(type(error).__name__, str(error)))

    def solved(self, row: Evidence, change: Callable[[float], Change]) -> float | None:
        """Return the number for which the changed call gives what the row gave, if any."""
        wrong = row.relevant(self.gradients)
        if not wrong or row.raised or wrong[0].kind != "value":
            return None
        what = wrong[0].what

        def results(number: float) -> np.ndarray | None:
            found = self.result(row, change(number))
            value = found and not isinstance(found.results, Raised) and found.results.get(what)
            return None if value is None or value is False else np.asarray(value)

        return solve(results, np.asarray(row.got[what], np.float64))


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


def _kind(value: Any) -> str:
    """Return what kind of value an argument is, "" if it is not changed."""
    if isinstance(value, np.ndarray):
        return "array" if value.size and value.dtype.kind in "fiu" else ""
    if isinstance(value, bool | str) or value is None:
        return ""
    numbers = value if isinstance(value, tuple) else (value,)
    if not numbers or not all(type(n) in (int, float) for n in numbers):
        return ""
    return "tuple" if isinstance(value, tuple) else "number"


def changed(function: Function, names: Sequence[str], change: Callable[[Any], Any]) -> Change:
    """Return a change of the values of arguments or options, given or by default."""

    def apply(arguments: Named, options: Named, row: Evidence) -> bool:
        touched = False
        for name in names:
            holder = arguments if name in arguments else options
            value = holder.get(name, function.defaults.get(name))
            if value is None or (isinstance(value, np.ndarray) and not _kind(value)):
                continue
            other = change(value)
            if isinstance(value, np.ndarray):
                if np.shape(other) != value.shape:
                    continue
                other = np.ascontiguousarray(other).astype(value.dtype)
            holder[name], touched = other, True
        return touched

    return apply


def _fitted(
    calls: _Calls, row: Evidence, names: Sequence[str], said: str
) -> Iterator[Mistake]:
    """Yield values times, plus, or always, the number with which this row gives what it gave."""
    array = names[0] in calls.function.arguments or names[0] == "grad_out"
    ways = [(times, lambda c: lambda v: c * v)]
    if array:
        ways.append(("plus {:.6g}".format, lambda c: lambda v: v + c))
    else:
        ways.append(("= {:.6g}, whatever is asked".format, lambda c: lambda v: c))
    for text, change in ways:

        def made(c: float, change: Any = change) -> Change:
            return changed(calls.function, names, change(c))

        number = calls.solved(row, made)
        if number is not None:
            yield calls.mistake(f"{said} {text(number)}", made(number), fitted=True)


def _scaled(name: str, factor: Callable[[Evidence], float]) -> Change:
    """Return a change of an array by a factor that the case itself suggests."""

    def apply(arguments: Named, options: Named, row: Evidence) -> bool:
        value = arguments.get(name)
        if not _kind(value):
            return False
        arguments[name] = (value * factor(row)).astype(value.dtype)
        return True

    return apply


def _joined(one: str, other: str, join: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Change:
    """Return a change of an array by another one, if they have the same shape."""

    def apply(arguments: Named, options: Named, row: Evidence) -> bool:
        a, b = arguments.get(one), arguments.get(other)
        if _kind(a) != "array" or _kind(b) != "array" or a.shape != b.shape:
            return False
        arguments[one] = join(a, b).astype(a.dtype)
        return True

    return apply


def _output_for_gradient(arguments: Named, options: Named, row: Evidence) -> bool:
    arguments["grad_out"] = np.asarray(row.right["output"]).astype(row.dtype)
    return True


def _exchanged(function: Function, one: str, other: str) -> Change:
    def apply(arguments: Named, options: Named, row: Evidence) -> bool:
        full = {**function.defaults, **options}
        options.update({one: full[other], other: full[one]})
        return True

    return apply


def _multiplied(function: Function, one: str, other: str) -> Change:
    def apply(arguments: Named, options: Named, row: Evidence) -> bool:
        full = {**function.defaults, **options}
        product = np.broadcast_to(full[one], 2) * np.broadcast_to(full[other], 2)
        simple = isinstance(full[one], float)
        options[one] = float(product[0]) if simple else tuple(product.tolist())
        return True

    return apply


def _bordered(number: float) -> Change:
    """Return a change that pads the input with ``number`` and asks for no padding any more."""

    def apply(arguments: Named, options: Named, row: Evidence) -> bool:
        name = next(iter(arguments))
        padding, x = options.get("padding", 0), arguments[name]
        if isinstance(padding, str) or not x.size:
            return False
        sides = [(0, 0)] * (x.ndim - 2) + [(p, p) for p in _two(padding)]
        arguments[name] = np.pad(x, sides, constant_values=number)
        options["padding"] = 0
        return True

    return apply


def _means(function: Function, name: str) -> Iterator[Mistake]:
    """Yield other means than the arithmetic one: the input is changed, and the result back."""
    for text, (before, after) in MEANS.items():
        calls = _Calls(function, False)
        change = changed(function, [name], before)

        def predict(row: Evidence, calls: Any = calls, change: Any = change, g: Any = after) -> Any:
            found = calls.result(row, change)
            if found is None or isinstance(found.results, Raised) or not found.results:
                return found
            with np.errstate(all="ignore"):
                back = np.asarray(g(found.results["output"])).astype(row.dtype)
            return Prediction({**found.results, "output": back})

        yield Mistake(f"every result is {text}", predict)
