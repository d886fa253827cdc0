"""Guesses that the right results are changed afterwards: squashed, scaled, divided by a count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minideeplab.diagnosis.evidence import Evidence
from minideeplab.diagnosis.fitting import nice
from minideeplab.diagnosis.known import INVALID, Mistake, Prediction
from minideeplab.diagnosis.sizes import Size, factors

Change = Callable[[np.ndarray, Evidence], Any]
"""Takes a right result and its case, and returns the wrong one (None: unchanged)."""


def _one_hot(axis: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda y: np.where(y == y.max(axis=min(axis, y.ndim - 1), keepdims=True), 1.0, 0.0)


FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the hyperbolic tangent of the right one": np.tanh,
    "the logistic function of the right one": lambda y: 1 / (1 + np.exp(-y)),
    "the exponential of the right one": np.exp,
    "the logarithm of the right one": np.log,
    "minus the logarithm of the right one": lambda y: -np.log(y),
    "the absolute value of the right one": np.abs,
    "the sign of the right one": np.sign,
    "the square of the right one": np.square,
    "the root of the right one": np.sqrt,
    "1 less the right one": lambda y: 1 - y,
    "log(1 + exp y) of the right one": lambda y: np.logaddexp(0, y),
    "the right one, rounded down": np.floor,
    "the right one, rounded to float16": lambda y: y.astype(np.float16),
    "1 where the right one is largest along axis 0, else 0": _one_hot(0),
    "1 where the right one is largest along axis 1, else 0": _one_hot(1),
    "the right one, rounded to a multiple of 1/255": lambda y: np.round(y * 255) / 255,
    "the right one, rounded to a multiple of 1/256": lambda y: np.round(y * 256) / 256,
    **{f"the right one, rounded to {n} decimals": lambda y, n=n: np.round(y, n) for n in range(7)},
}


def changed_results(
    rows: Sequence[Evidence], gradients: bool, names: Sequence[str], sizes: Mapping[str, Size]
) -> Iterator[Mistake]:
    """Yield guesses that the outputs, or the wrong ones of the gradients, are changed.

    Args:
        rows: failing cases.
        gradients: whether gradients are wrong, or outputs.
        names: of the array arguments.
        sizes: counts by which results may be multiplied.
    """
    wrong = sorted({fault.what for row in rows for fault in row.relevant(gradients)})
    if not wrong or (not gradients and wrong != ["output"]):
        return
    before = f"{' and '.join(wrong)}: " if gradients else ""
    for text, change, fitted in _changes(rows, wrong[0], gradients, names, sizes):
        yield Mistake(before + text, _changed(change, wrong), fitted=fitted)


def _changed(change: Change, wrong: Sequence[str]) -> Callable[[Evidence], Prediction | None]:
    def predict(row: Evidence) -> Prediction | None:
        results = {}
        for what in wrong:
            if what in row.right:
                right = np.asarray(row.right[what])
                try:
                    with np.errstate(all="ignore"):
                        value = change(right, row)
                except INVALID:
                    value = None
                results[what] = (right if value is None else np.asarray(value)).astype(row.dtype)
        return Prediction(results)

    return predict


def _changes(
    rows: Sequence[Evidence], what: str, gradients: bool, names: Sequence[str],
    sizes: Mapping[str, Size],
) -> Iterator[tuple[str, Change, bool]]:  # fmt: skip
    """Yield changes with their texts, and whether they are fitted to numbers."""
    for text, function in FUNCTIONS.items():
        yield f"every result is {text}", lambda y, row, f=function: f(y), False
    for text, factor in factors(sizes):
        yield f"every result is {text}", lambda y, row, f=factor: y * f(row), True
    shown = list(_shown(rows, what))[:3]
    for row, got, right in shown:
        yield from _fitted(got, right)
    arguments = [("grad_out", "the gradient of the output")] if gradients else []
    for key, said in [*arguments, *((name, f"the {name}") for name in names)]:
        yield f"every result is times {said} once more", _product(key, 1), False
        yield f"every result is divided by {said}", _product(key, -1), False
        for text, function in (("", np.asarray), ("the sign of ", np.sign)):
            for row, got, right in shown:
                yield from _added(row, got - right, key, f"{text}{said}", function)
        yield f"every result is {said}", lambda y, row, k=key: _like(y, row.arrays.get(k)), False
        yield from _leaks(shown, key, said, "grad_out" if gradients else key)
    if gradients:
        for name in names:
            other = f"grad_{name}"
            yield (f"it is the gradient of the {name}",
                   lambda y, row, k=other: _like(y, row.right.get(k)), False)  # fmt: skip


def _like(y: np.ndarray, other: Any) -> np.ndarray | None:
    """Return another array if it has the shape of ``y``."""
    return other if other is not None and np.shape(other) == y.shape else None


def _product(key: str, power: int) -> Change:
    def change(y: np.ndarray, row: Evidence) -> np.ndarray | None:
        array = row.arrays.get(key)
        if array is None or array.dtype.kind != "f":
            return None
        if array.ndim == 1 and y.ndim > 1 and array.size == y.shape[1]:  # one for each channel
            array = array.reshape((-1,) + (1,) * (y.ndim - 2))
        return y * array**power if np.broadcast_shapes(array.shape, y.shape) == y.shape else None

    return change


def _shown(
    rows: Sequence[Evidence], what: str
) -> Iterator[tuple[Evidence, np.ndarray, np.ndarray]]:
    """Yield rows with their wrong and their right result, where both are finite numbers."""
    for row in rows:
        if not row.raised and any((f.what, f.kind) == (what, "value") for f in row.faults):
            got, right = (np.asarray(r[what], np.float64) for r in (row.got, row.right))
            if got.size > 2 and np.all(np.isfinite(got)) and np.all(np.isfinite(right)):
                yield row, got, right


def _fitted(got: np.ndarray, right: np.ndarray) -> Iterator[tuple[str, Change, bool]]:
    """Yield a straight line and a power through the results of a row."""
    if np.ptp(right):
        slope, start = map(float, np.polyfit(right.ravel(), got.ravel(), 1))
        a, b = nice(slope), nice(start) if abs(start) > 1e-9 else 0.0
        if b and a == 1:
            text = f"the right one plus {b:.6g}"
        elif b:
            text = f"{a:.6g} y + {b:.6g}, y being the right one"
        else:
            text = f"{a:.6g} times the right one" if a else "zero"
        yield f"every result is {text}", lambda y, row: a * y + b, True
    seen = (np.abs(right) > 0) & (np.abs(got) > 0) & (np.abs(right) != 1)
    if seen.any():
        p = nice(float(np.median(np.log(np.abs(got[seen])) / np.log(np.abs(right[seen])))))
        text = f"every result is the right one to the power {p:.6g}"
        yield text, lambda y, row: np.sign(y) * np.abs(y) ** p, True


def _added(
    row: Evidence, error: np.ndarray, key: str, said: str, function: Callable
) -> Iterator[tuple[str, Change, bool]]:
    """Yield a multiple of an argument that is added to the result: weight decay, a skip."""
    added = row.arrays.get(key)
    if added is None or added.shape != error.shape or added.dtype.kind != "f":
        return
    wide = function(added).astype(np.float64)
    share = nice(float(np.vdot(wide, error) / (np.vdot(wide, wide) or 1.0)))

    def change(y: np.ndarray, row: Evidence) -> np.ndarray | None:
        other = _like(y, row.arrays.get(key))
        return None if other is None else y + share * function(other)

    yield f"{share:.6g} times {said} is added", change, True


def _leaks(
    shown: Sequence[tuple[Evidence, np.ndarray, np.ndarray]], key: str, said: str, passed: str
) -> Iterator[tuple[str, Change, bool]]:
    """Yield results with a slope where an argument is negative, as a leaky ReLU has."""
    for row, got, right in shown[:2]:
        x, sent = row.arrays.get(key), row.arrays.get(passed)
        if x is None or x.dtype.kind != "f" or not x.shape == got.shape == np.shape(sent):
            continue
        below = (x < 0) & (sent != 0)
        if np.any(below) and not np.any(right[below]):
            slope = nice(float(np.median(got[below] / sent[below])))
            name = "the gradient leaks" if passed == "grad_out" else "negative values leak"

            def change(y: np.ndarray, row: Evidence, slope: float = slope) -> np.ndarray:
                return np.where(row.arrays[key] < 0, slope * row.arrays[passed], y)

            yield f"{name} through, times {slope:.6g}", change, True
