"""Simple relations of wrong results to right ones, whatever the task is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minideeplab.grading.outcome import VALUE

if TYPE_CHECKING:
    from minideeplab.grading.hints import Evidence

Relation = Callable[[Any, Any, float], bool]
Arrays = list[tuple[np.ndarray, np.ndarray]]


def sign_of(lost: Sequence[Evidence], rtol: float) -> str:
    """Return what all the wrong results have in common, their shapes apart; "" if nothing."""
    if not lost or any(e.outcome.kind != VALUE for e in lost):
        return ""
    pairs = [(e.outcome.value, e.expected) for e in lost]
    if all(got is None for got, _ in pairs):
        return "nothing is returned; is a return missing?"
    if any(e.outcome.value is not None and not _is_number(e.outcome.value) for e in lost):
        return told(lost[0]) if all(" expected a" in e.wrong for e in lost) else ""
    arrays = _as_arrays(lost)
    return _kind(lost, arrays) or _values(lost, arrays, rtol) if arrays else ""


def told(e: Evidence) -> str:
    """Return what is wrong with a case; of a hidden one nothing that shows its inputs or result."""
    if e.case.shown:
        return e.wrong
    if e.outcome.kind != VALUE:
        return e.outcome.error
    return e.wrong if e.wrong.startswith(("shape", "dtype")) else "a wrong result"


def shape_of(lost: Sequence[Evidence]) -> str:
    """Return what is wrong with all the shapes in one way, "" if nothing is seen."""
    return _shape(_as_arrays(lost))


def _as_arrays(lost: Sequence[Evidence]) -> Arrays:
    """Return results and right results as arrays; none if some are something else."""
    pairs = [(e.outcome.value, e.expected) for e in lost]
    if not all(_is_number(got) and _is_number(right) for got, right in pairs):
        return []
    return [(np.asarray(got), np.asarray(right)) for got, right in pairs]


def _is_number(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic, bool, int, float, complex))


def _kind(lost: Sequence[Evidence], arrays: Arrays) -> str:
    """Look at dtypes and NaN."""
    if all(e.wrong.startswith("dtype") for e in lost):
        return f"the result has the wrong dtype: {lost[0].wrong.removeprefix('dtype ')}"
    if all(e.wrong.startswith("returned") for e in lost):
        return told(lost[0])
    if all(got.dtype.kind == "f" and _new_nan(got, right) for got, right in arrays):
        return "NaN or infinity comes out where a number should; is something divided by zero?"
    return ""


def _new_nan(got: np.ndarray, right: np.ndarray) -> bool:
    return bool(np.any(~np.isfinite(got))) and bool(np.all(np.isfinite(right.astype(np.float64))))


def _shape(arrays: Arrays) -> str:
    """Look at shapes that are all wrong in one way."""
    shapes = [(got.shape, right.shape) for got, right in arrays]
    if not shapes or any(got == right for got, right in shapes):
        return ""
    first = f"shape {shapes[0][0]}, expected {shapes[0][1]}"
    if all(len(got) != len(right) for got, right in shapes):
        return f"the result has the wrong number of axes: {first}"
    if all(got[::-1] == right for got, right in shapes):
        return f"the axes are in the opposite order: {first}"
    if all(got[:-2] + got[:-3:-1] == right for got, right in shapes):
        return f"the last two axes are swapped: {first}"
    steps = {tuple(np.subtract(got, right)) for got, right in shapes}
    if len(steps) == 1 and max(map(abs, next(iter(steps)))) == 1:
        return f"a size is off by one: {first}"
    return f"the result has the wrong shape: {first}"


def _values(lost: Sequence[Evidence], arrays: Arrays, rtol: float) -> str:
    """Look at the values, in another order of axes if the shape is wrong."""
    if any(got.dtype.kind not in "iuf" or right.dtype.kind not in "iuf" for got, right in arrays):
        return ""
    arrays = [(got.astype(np.float64), right.astype(np.float64)) for got, right in arrays]
    for text, relation in _RELATIONS:
        if all(relation(got, right, rtol) for got, right in arrays):
            return text
    if all(_is_an_argument(e) for e in lost):
        return "an argument is returned as it came"
    return _factor(arrays)


def _near(got: np.ndarray, right: np.ndarray, rtol: float) -> bool:
    size = np.max(np.abs(right), where=np.isfinite(right), initial=0.0)
    return got.shape == right.shape and np.allclose(
        got, right, rtol=0.0, atol=rtol * (size or 1.0), equal_nan=True
    )


def _flipped(axis: int) -> Relation:
    return lambda got, right, rtol: got.ndim >= -axis and _near(np.flip(got, axis), right, rtol)


def _shifted(axis: int, step: int) -> Relation:
    """Equal after a shift by one pixel, the border apart."""

    def relation(got: np.ndarray, right: np.ndarray, rtol: float) -> bool:
        if got.ndim < -axis or got.shape[axis] < 4:
            return False
        inner = [np.moveaxis(a, axis, -1)[..., 1:-1] for a in (np.roll(got, step, axis), right)]
        return _near(inner[0], inner[1], rtol)

    return relation


def _constant(got: np.ndarray, right: np.ndarray, rtol: float) -> bool:
    return (
        got.size > 1 and got.shape == right.shape and _near(got - (got - right).mean(), right, rtol)
    )


_RELATIONS: list[tuple[str, Relation]] = [
    ("the result is zero everywhere",
     lambda got, right, rtol: got.shape == right.shape and not np.any(got)),
    ("the sign is wrong", lambda got, right, rtol: _near(-got, right, rtol)),
    ("the absolute value is right, signs are not",
     lambda got, right, rtol: _near(abs(got), abs(right), rtol)),
    ("the last two axes are swapped",
     lambda got, right, rtol: got.ndim > 1 and _near(got.swapaxes(-1, -2), right, rtol)),
    ("the first two axes are swapped",
     lambda got, right, rtol: got.ndim > 1 and _near(got.swapaxes(0, 1), right, rtol)),
    ("the last axis runs backwards; is a kernel flipped?", _flipped(-1)),
    ("the last but one axis runs backwards", _flipped(-2)),
    ("the last two axes run backwards; is a kernel flipped?",
     lambda got, right, rtol: got.ndim > 1 and _near(got[..., ::-1, ::-1], right, rtol)),
    ("the result is shifted by one along the last axis", _shifted(-1, 1)),
    ("the result is shifted by one along the last axis", _shifted(-1, -1)),
    ("the result is shifted by one along the last but one axis", _shifted(-2, 1)),
    ("the result is shifted by one along the last but one axis", _shifted(-2, -1)),
    ("the result is right only to single precision; is something float32?",
     lambda got, right, rtol: _near(got, right, max(rtol, 1e-5))),
    ("the result is off by a constant that is added", _constant),
]  # fmt: skip


def _is_an_argument(e: Evidence) -> bool:
    got = e.outcome.value
    return any(
        isinstance(arg, np.ndarray) and np.array_equal(got, arg, equal_nan=arg.dtype.kind == "f")
        for arg in (*e.case.args, *e.case.options.values())
    )


def _factor(arrays: Arrays) -> str:
    """Return the one number by which all results are too large, case by case if it varies."""
    factors = []
    for got, right in arrays:
        if got.shape != right.shape:
            return ""
        seen = np.isfinite(right) & (np.abs(right) > 1e-3 * np.max(np.abs(right), initial=0.0))
        ratios = got[seen] / right[seen]
        if not ratios.size or not np.allclose(ratios, ratios[0], rtol=1e-6):
            return ""
        factors.append(float(ratios[0]))
    if max(right.size for _, right in arrays) < 2:
        return ""
    if np.allclose(factors, factors[0], rtol=1e-6):
        return f"the result is {factors[0]:.6g} times what it should be"
    return "in each case the result is off by a factor; is something counted twice or not divided?"
