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
    if wrong and (gradients or wrong == ["output"]):
        before = f"{' and '.join(wrong)}: " if gradients else ""
        shown = list(_shown(rows, wrong[0]))[:3]
        for text, change in (*_functions(), *_copies(names, gradients)):
            yield Mistake(before + text, _changed(change, wrong))
        for text, change in (*_factors(sizes), *_fitted(shown), *_added(shown, names, gradients)):
            yield Mistake(before + text, _changed(change, wrong), fitted=True)


def _changed(change: Change, wrong: Sequence[str]) -> Callable[[Evidence], Prediction]:
    def predict(row: Evidence) -> Prediction:
        results = {}
        for what in set(wrong) & set(row.right):
            right = np.asarray(row.right[what])
            try:
                with np.errstate(all="ignore"):
                    value = change(right, row)
            except INVALID:
                value = None
            results[what] = (right if value is None else np.asarray(value)).astype(row.dtype)
        return Prediction(results)

    return predict


def _functions() -> Iterator[tuple[str, Change]]:
    for text, function in FUNCTIONS.items():
        yield f"every result is {text}", lambda y, row, f=function: f(y)


def _factors(sizes: Mapping[str, Size]) -> Iterator[tuple[str, Change]]:
    for text, factor in factors(sizes):
        yield f"every result is {text}", lambda y, row, f=factor: y * f(row)


def _named(names: Sequence[str], gradients: bool) -> dict[str, str]:
    cotangent = {"grad_out": "the gradient of the output"} if gradients else {}
    return cotangent | {name: f"the {name}" for name in names}


def _copies(names: Sequence[str], gradients: bool) -> Iterator[tuple[str, Change]]:
    """Yield results that are an argument, times it, or the gradient of another argument."""
    for key, said in _named(names, gradients).items():
        yield f"every result is times {said} once more", _product(key, 1)
        yield f"every result is divided by {said}", _product(key, -1)
        yield f"every result is {said}", lambda y, row, k=key: _like(y, row.arrays.get(k))
        if gradients:
            yield (f"it is the gradient of {said}",
                   lambda y, row, k=f"grad_{key}": _like(y, row.right.get(k)))  # fmt: skip


def _like(y: np.ndarray, other: Any) -> np.ndarray | None:
    """Return another array if it has the shape of ``y``."""
    return other if other is not None and np.shape(other) == y.shape else None


def _product(key: str, power: int) -> Change:
    def change(y: np.ndarray, row: Evidence) -> np.ndarray | None:
        array = row.arrays[key]
        if array.dtype.kind != "f":
            return None
        if array.ndim == 1 and y.ndim > 1 and array.size == y.shape[1]:  # one for each channel
            array = array.reshape((-1,) + (1,) * (y.ndim - 2))
        return y * array**power if np.broadcast_shapes(array.shape, y.shape) == y.shape else None

    return change


Shown = tuple[Evidence, np.ndarray, np.ndarray]


def _shown(rows: Sequence[Evidence], what: str) -> Iterator[Shown]:
    """Yield rows with their wrong and their right result, where both are finite numbers."""
    for row in rows:
        if not row.raised and any((f.what, f.kind) == (what, "value") for f in row.faults):
            got, right = (np.asarray(r[what], np.float64) for r in (row.got, row.right))
            if got.size > 2 and np.all(np.isfinite(got)) and np.all(np.isfinite(right)):
                yield row, got, right


def _fitted(shown: Sequence[Shown]) -> Iterator[tuple[str, Change]]:
    """Yield a straight line and a power through the results of each row."""
    for _, got, right in shown:
        if np.ptp(right):
            slope, start = map(float, np.polyfit(right.ravel(), got.ravel(), 1))
            a, b = nice(slope), nice(start) if abs(start) > 1e-9 else 0.0
            text = (
                f"{a:.6g} y + {b:.6g}, y being the right one"
                if b
                else f"{a:.6g} times the right one"
            )
            text = f"the right one plus {b:.6g}" if b and a == 1 else text if a or b else "zero"
            yield f"every result is {text}", lambda y, row, a=a, b=b: a * y + b
        seen = (np.abs(right) > 0) & (np.abs(got) > 0) & (np.abs(right) != 1)
        if seen.any():
            p = nice(float(np.median(np.log(np.abs(got[seen])) / np.log(np.abs(right[seen])))))
            text = f"every result is the right one to the power {p:.6g}"
            yield text, lambda y, row, p=p: np.sign(y) * np.abs(y) ** p


def _added(
    shown: Sequence[Shown], names: Sequence[str], gradients: bool
) -> Iterator[tuple[str, Change]]:
    """Yield a multiple of an argument that is added, everywhere or where one is negative."""
    for key, said in _named(names, gradients).items():
        for row, got, right in shown:
            array = row.arrays.get(key)
            if array is None or array.shape != got.shape or array.dtype.kind != "f":
                continue
            for text, function in (("", np.asarray), ("the sign of ", np.sign)):
                share = _share(function(array), got - right)
                yield f"{share:.6g} times {text}{said} is added", _sum(key, function, share)
            x = row.arrays[names[0]]
            below = x < 0 if np.shape(x) == got.shape else np.zeros(got.shape, bool)
            if np.any(below) and not np.any(right[below]):  # as in a ReLU
                slope = _share(array[below], got[below])
                leak = "the gradient leaks" if gradients else "negative values leak"
                yield f"{leak} through, times {slope:.6g}", _leaking(names[0], key, slope)


def _sum(key: str, function: Callable[[Any], Any], share: float) -> Change:
    return lambda y, row: y + share * _like(y, function(row.arrays[key]))


def _share(array: np.ndarray, error: np.ndarray) -> float:
    wide = array.astype(np.float64)
    return nice(float(np.vdot(wide, error) / (np.vdot(wide, wide) or 1.0)))


def _leaking(x: str, sent: str, slope: float) -> Change:
    return lambda y, row: np.where(row.arrays[x] < 0, slope * row.arrays[sent], y)
