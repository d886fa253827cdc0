"""Guesses that right results are changed afterwards: squashed, scaled, divided by a count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minideeplab.testing.cases import TABLE
from minideeplab.testing.evidence import Evidence
from minideeplab.testing.guesses.fitting import nice
from minideeplab.testing.guesses.sizes import Size, factors
from minideeplab.testing.mutant import Mutant, right, right_backward
from minideeplab.testing.runner import reference

Finish = Callable[[np.ndarray, list[Any], dict[str, Any]], Any]
"""Takes a right result, the arrays (the cotangent first, for a gradient) and the options."""


def _one_hot(axis: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda y: np.where(y == y.max(axis=min(axis, y.ndim - 1), keepdims=True), 1.0, 0.0)


FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "every result is the hyperbolic tangent of the right one": np.tanh,
    "every result is the logistic function of the right one": lambda y: 1 / (1 + np.exp(-y)),
    "every result is the exponential of the right one": np.exp,
    "every result is the logarithm of the right one": np.log,
    "every result is minus the logarithm of the right one": lambda y: -np.log(y),
    "every result is the absolute value of the right one": np.abs,
    "every result is the sign of the right one": np.sign,
    "every result is the square of the right one": np.square,
    "every result is the root of the right one": np.sqrt,
    "every result is 1 less the right one": lambda y: 1 - y,
    "every result is log(1 + exp y) of the right one": lambda y: np.logaddexp(0, y),
    "every result is the right one, rounded down": np.floor,
    "every result is the right one, rounded to float16": lambda y: y.astype(np.float16),
    "every result is 1 where the right one is largest along axis 0, else 0": _one_hot(0),
    "every result is 1 where the right one is largest along axis 1, else 0": _one_hot(1),
    **{
        f"every result is the right one, rounded to {n} decimals": lambda y, n=n: np.round(y, n)
        for n in range(7)
    },
}

MEANS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "the root of the squared input's": (np.square, np.sqrt),
    "the logarithm of the exponential input's": (np.exp, np.log),
    "the exponential of the input's logarithm's": (np.log, np.exp),
    "the reciprocal of the input's reciprocal's": (np.reciprocal, np.reciprocal),
}
"""Other means than the arithmetic one: what to do to the input, and to the result."""


def changed_results(op: str, rows: Sequence[Evidence], backward: bool) -> Iterator[Mutant]:
    """Yield the operation with its results, or the wrong ones of its gradients, changed."""
    wrong = sorted({m.what for row in rows for m in row.relevant(backward)})
    if not backward and wrong != ["output"]:
        return
    for text, finish in _finishes(op, rows, wrong[0], backward):
        said = f"{' and '.join(wrong)}: {text}" if backward else text
        yield _finished(op, said, finish, wrong if backward else [])
    if not backward:
        yield from _means(op)


def _means(op: str) -> Iterator[Mutant]:
    for text, (before, after) in MEANS.items():

        def forward(x: np.ndarray, *rest: Any, f: Any = before, g: Any = after, **o: Any) -> Any:
            with np.errstate(all="ignore"):
                return np.asarray(g(right(op)(f(x), *rest, **o))).astype(x.dtype)

        yield Mutant(op, "", f"every result is {text}", forward=forward)


def _finishes(
    op: str, rows: Sequence[Evidence], what: str, backward: bool
) -> Iterator[tuple[str, Finish]]:
    for text, function in FUNCTIONS.items():
        yield text, lambda y, a, o, f=function: f(y)
    for text, factor in factors(op):
        yield f"every result is {text}", _times(factor, backward)
    yield from _fitted(rows, what)
    if op == "relu":
        yield from _leaks(rows, what, backward)
    names = ["the gradient of the output"] if backward else []
    names += [f"the {name}" for name in max((r.arrays for r in TABLE[op]), key=len)]
    for position, name in enumerate(names):
        yield f"every result is times {name} once more", _product(position, 1)
        yield f"every result is divided by {name}", _product(position, -1)
        yield from _added(rows, what, position, name, backward)
        yield f"every result is {name}", _copy(position)
    if backward:
        yield from _another_gradient(op)


def _times(factor: Size, backward: bool) -> Finish:
    def finish(y: np.ndarray, arrays: list[Any], options: dict[str, Any]) -> np.ndarray:
        shape = arrays[0].shape if backward else y.shape
        return y * factor(arrays[backward:], options, shape)

    return finish


def _product(position: int, power: int) -> Finish:
    def finish(y: np.ndarray, arrays: list[Any], options: dict[str, Any]) -> np.ndarray:
        factor = _fitting(arrays[position], y)
        return y if factor is None else y * factor**power

    return finish


def _fitting(array: np.ndarray | None, y: np.ndarray) -> np.ndarray | None:
    """Return ``array`` if it has the shape of ``y``, or as a column for each of its channels."""
    if array is None or array.dtype.kind != "f" or array.shape == y.shape:
        return array if array is not None and array.dtype.kind == "f" else None
    if array.ndim == 1 and y.ndim > 1 and array.size == y.shape[1]:
        return array.reshape((-1,) + (1,) * (y.ndim - 2))
    return None


def _pairs(rows: Sequence[Evidence], what: str) -> Iterator[tuple[Evidence, Any, Any]]:
    """Yield rows with their wrong and their right result, where both are finite numbers."""
    for row in rows:
        if isinstance(row.outcome, dict) and {(m.what, m.kind) for m in row.mismatches} >= {
            (what, "value")
        }:
            got = np.asarray(row.outcome[what], np.float64)
            expected = np.asarray(reference(row.case, row.dtype)[what], np.float64)
            if got.size > 2 and np.all(np.isfinite(got)) and np.all(np.isfinite(expected)):
                yield row, got, expected


def _fitted(rows: Sequence[Evidence], what: str) -> Iterator[tuple[str, Finish]]:
    """Yield a straight line and a power through the results of the first rows that show one."""
    for _, got, expected in list(_pairs(rows, what))[:3]:
        if np.ptp(expected):
            slope, start = map(float, np.polyfit(expected.ravel(), got.ravel(), 1))
            a, b = nice(slope), nice(start) if abs(start) > 1e-9 else 0.0
            if b and a == 1:
                yield f"every result is the right one plus {b:.6g}", lambda y, *_, b=b: y + b
            elif b:
                yield f"every result is {a:.6g} y + {b:.6g}", lambda y, *_, a=a, b=b: a * y + b
            elif a:
                yield f"every result is {a:.6g} times the right one", lambda y, *_, a=a: a * y
            else:
                yield "every result is zero", lambda y, *_: 0 * y
        seen = (np.abs(expected) > 0) & (np.abs(got) > 0) & (np.abs(expected) != 1)
        if seen.any():
            powers = np.log(np.abs(got[seen])) / np.log(np.abs(expected[seen]))
            p = nice(float(np.median(powers)))
            yield f"every result is the right one to the power {p:.6g}", _power(p)


def _leaks(rows: Sequence[Evidence], what: str, backward: bool) -> Iterator[tuple[str, Finish]]:
    """Yield a ReLU, or its gradient, with the slope that the first rows show below zero."""
    for row, got, _ in list(_pairs(rows, what))[:3]:
        x = passed = row.case.arguments(row.dtype)["input"]
        if backward:
            passed = row.case.cotangent(x.shape, row.dtype)
        if np.any(x < 0):
            slope = nice(float(np.median(got[x < 0] / passed[x < 0])))
            name = "the gradient leaks" if backward else "negative values leak"
            yield f"{name} through, times {slope:.6g}", _leaking(slope, backward)


def _leaking(slope: float, backward: bool) -> Finish:
    return lambda y, a, o: np.where(a[backward] < 0, slope * a[0], y)


def _power(p: float) -> Finish:
    return lambda y, *_: np.sign(y) * np.abs(y) ** p


def _added(
    rows: Sequence[Evidence], what: str, position: int, name: str, backward: bool
) -> Iterator[tuple[str, Finish]]:
    """Yield a multiple of an argument that is added to the result: weight decay, a skip."""
    for row, got, expected in list(_pairs(rows, what))[:3]:
        arrays = list(row.case.arguments(row.dtype).values())
        if backward:
            arrays.insert(0, row.case.cotangent(np.shape(row.outcome["output"]), row.dtype))
        added = arrays[position] if position < len(arrays) else None
        if added is not None and added.shape == got.shape and added.dtype.kind == "f":
            for text, function in (("", np.asarray), ("the sign of ", np.sign)):
                wide = function(added).astype(np.float64)
                share = nice(float(np.vdot(wide, got - expected) / (np.vdot(wide, wide) or 1.0)))
                said = f"{share:.6g} times {text}{name} is added"
                yield said, _sum(position, share, function)


def _sum(position: int, share: float, function: Callable[[np.ndarray], np.ndarray]) -> Finish:
    def finish(y: np.ndarray, arrays: list[Any], options: dict[str, Any]) -> np.ndarray:
        same = position < len(arrays) and np.shape(arrays[position]) == y.shape
        return y + share * function(arrays[position]) if same else y

    return finish


def _copy(position: int) -> Finish:
    """Return an argument in the result's place, where it has the result's shape."""

    def finish(y: np.ndarray, arrays: list[Any], options: dict[str, Any]) -> np.ndarray:
        same = position < len(arrays) and np.shape(arrays[position]) == y.shape
        return arrays[position] if same else y

    return finish


def _another_gradient(op: str) -> Iterator[tuple[str, Finish]]:
    """Yield the gradient of another argument of the same shape in the place of this one's."""
    for position, name in enumerate(max((row.arrays for row in TABLE[op]), key=len)):

        def finish(
            y: np.ndarray, arrays: list[Any], options: dict[str, Any], i: int = position
        ) -> np.ndarray:
            other = right_backward(op)(*arrays, **options)[i]
            return other if np.shape(other) == y.shape else y

        yield f"it is the gradient of the {name}", finish


def _finished(op: str, text: str, finish: Finish, gradients: Sequence[str]) -> Mutant:
    """Return the operation with ``finish`` applied to its output, or to some of its gradients."""
    names = list(max((row.arrays for row in TABLE[op]), key=len))

    def applied(y: Any, arrays: list[Any], options: dict[str, Any]) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(finish(np.asarray(y), arrays, options)).astype(np.asarray(y).dtype)

    def forward(*arrays: Any, **options: Any) -> Any:
        result = right(op)(*arrays, **options)
        if isinstance(result, tuple):
            return applied(result[0], list(arrays), options), *result[1:]
        return applied(result, list(arrays), options)

    def backward(grad_out: np.ndarray, *arrays: Any, **options: Any) -> Any:
        given = right_backward(op)(grad_out, *arrays, **options)
        return [
            g if g is None or f"grad_{name}" not in gradients
            else applied(g, [grad_out, *arrays], options)
            for g, name in zip(given, names, strict=False)
        ]  # fmt: skip

    if gradients:
        return Mutant(op, "", text, backward=backward)
    return Mutant(op, "", text, forward=forward)
