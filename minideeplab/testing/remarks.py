"""What wrong results look like, when no known mistake fits: a factor, a sign, a flip, a place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minideeplab.testing.cases import Case
from minideeplab.testing.compare import largest, tolerance
from minideeplab.testing.evidence import Evidence
from minideeplab.testing.runner import reference
from minideeplab.testing.traits import shared

Pairs = list[tuple[np.ndarray, np.ndarray, float]]
Relation = Callable[[np.ndarray, np.ndarray, float], bool | None]
"""Whether wrong and right result are so related within a tolerance; None if it cannot be seen."""


def remark(rows: Sequence[Evidence], table: Sequence[Case]) -> str:
    """Return what the wrong results have in common: how they are wrong, where, and in which rows.

    If nothing is seen, name the smallest failing row, with which the search may start.
    """
    if not rows:
        return ""
    how = _kind(rows) or _shapes(rows) or _values(rows)
    where = shared({row.case.id for row in rows}, table)
    said = [part for part in (_only(rows), how, where) if part]
    if how or where:
        return ", and ".join(said)
    smallest = min(rows, key=_effort).case
    note = f" ({smallest.note})" if smallest.note else ""
    count = f"simplest of {len(rows)} wrong rows" if len(rows) > 1 else "one wrong row"
    return ", and ".join(["no known mistake", *said, f"the {count} is {smallest.id}{note}"])


def _only(rows: Sequence[Evidence]) -> str:
    """Say which gradients are wrong if others of the same rows are right."""
    wrong = {mismatch.what for row in rows for mismatch in row.mismatches}
    judged = {f"grad_{name}" for row in rows for name in row.case.differentiable}
    if not wrong < judged:
        return ""
    return f"only {' and '.join(sorted(wrong))} {'is' if len(wrong) == 1 else 'are'} wrong"


def _effort(row: Evidence) -> tuple[int, int]:
    arrays = [np.prod(a.shape) for a in row.case.arrays.values() if a is not None]
    return len(row.case.options) + len(arrays), int(sum(arrays))


def _kind(rows: Sequence[Evidence]) -> str:
    """Say what is wrong besides numbers, if it is the same in all rows."""
    wrong = [mismatch for row in rows for mismatch in row.mismatches]
    kinds, names = {m.kind for m in wrong}, sorted({m.what for m in wrong})
    if kinds == {"dtype"}:
        return f"the results have another dtype than the input: {wrong[0].message}"
    if kinds == {"nan"}:
        return "NaN or infinity comes out where it should not, or is lost where it should"
    if kinds == {"written"}:
        return f"the call writes to its {' and '.join(names)}"
    if "share" in kinds:
        return "too many or too few entries are kept: " + next(
            m.message for m in wrong if m.kind == "share"
        )
    if kinds == {"missing"}:
        return f"{' and '.join(names)} is missing"
    if all(name.startswith("running") for name in names):
        return f"the output is right, {' and '.join(names)} not"
    if names == ["indices"] and not kinds - {"value"}:
        return "the maxima are right, their indices are not"
    return ""


def _shapes(rows: Sequence[Evidence]) -> str:
    """Say in what way shapes are wrong, if it is the same in all rows."""
    said = set()
    for row in rows:
        expected = reference(row.case, row.dtype)
        for wrong in row.mismatches:
            if wrong.kind == "shape" and isinstance(row.outcome, dict):
                got = np.shape(row.outcome[wrong.what])
                said.add(_shape(wrong.what, got, np.shape(expected[wrong.what]), expected))
            elif wrong.kind != "shape":
                said.add("")
    return said.pop() if len(said) == 1 else ""


def _shape(what: str, got: Any, right: Any, expected: dict[str, Any]) -> str:
    others = [name for name in expected if name.startswith("grad_") and name != what]
    if any(np.shape(expected[name]) == got for name in others) and what.startswith("grad_"):
        return "the gradients are returned in another order than the arguments"
    if len(got) != len(right):
        return "the results have another number of axes"
    if sorted(got) == sorted(right):
        return "two axes of the results are exchanged"
    larger = np.array(got) >= np.array(right)
    if larger.all() or not (larger & (np.array(got) != np.array(right))).any():
        return f"the results have too {'many' if larger.all() else 'few'} rows or columns"
    return "the results have another size"


def _values(rows: Sequence[Evidence]) -> str:
    """Say how wrong numbers are related to the right ones."""
    pairs = list(_pairs(rows))
    if not pairs:
        return ""
    for text, relation in _RELATIONS:
        verdicts = [relation(*pair) for pair in pairs]
        if True in verdicts and False not in verdicts:
            return text
    factor = _common_factor(pairs)
    if factor is not None:
        return f"every wrong result is {factor:.6g} times the right one"
    return _cut_off(pairs) or _factor_of_rows(rows, pairs)


def _cut_off(pairs: Pairs) -> str:
    """Say that results beyond a bound are replaced by it: a ReLU too many, a clipped gradient."""
    values = np.concatenate([got.ravel() for got, _, _ in pairs])
    values = values[np.isfinite(values)]
    if not values.size:
        return ""
    low, high = float(values.min()), float(values.max())
    for text, cut in (
        (f"results below {low:.6g} are replaced by it", lambda y: np.maximum(y, low)),
        (f"results above {high:.6g} are replaced by it", lambda y: np.minimum(y, high)),
        (f"results are cut off below {low:.6g} and above {high:.6g}",
         lambda y: np.clip(y, low, high)),
    ):  # fmt: skip
        if all(_near(got, cut(expected), tol) for got, expected, tol in pairs):
            return text
    return ""


def _factor_of_rows(rows: Sequence[Evidence], pairs: Pairs) -> str:
    """Say that each row has a factor of its own: a mean for a sum, a count that is wrong."""
    factors = [_common_factor([pair]) for pair in pairs]
    if None in factors or len(pairs) < 2:
        return ""
    return (
        "within each row every result is off by the same factor, "
        f"such as {factors[0]:.6g} in {rows[0].case.id}"
    )


def _pairs(rows: Sequence[Evidence]) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Yield wrong result, right result and tolerance, where only values differ."""
    for row in rows:
        expected = reference(row.case, row.dtype)
        for wrong in row.mismatches:
            if wrong.kind == "value" and wrong.what in expected and isinstance(row.outcome, dict):
                tol = tolerance(row.case, wrong.what, row.case.arguments(row.dtype), expected)
                got = np.asarray(row.outcome[wrong.what], np.float64)
                yield got, np.asarray(expected[wrong.what], np.float64), tol


def _near(got: np.ndarray, expected: np.ndarray, tol: float) -> bool:
    finite = np.isfinite(expected)
    return bool(np.all(np.abs(got[finite] - expected[finite]) <= tol))


def _precise_to(share: float) -> Relation:
    """Return a relation: the first digits are right."""

    def relation(got: np.ndarray, expected: np.ndarray, tol: float) -> bool:
        size = largest(expected)
        return _near(got, expected, max(share * size, tol))

    return relation


def _flipped(axis: int) -> Relation:
    def relation(got: np.ndarray, expected: np.ndarray, tol: float) -> bool | None:
        return _near(np.flip(got, axis), expected, tol) if got.ndim > 1 else None

    return relation


def _shifted(axis: int, step: int) -> Relation:
    """Return a relation: equal after a shift by one, the border apart."""

    def relation(got: np.ndarray, expected: np.ndarray, tol: float) -> bool | None:
        if got.ndim < 2 or got.shape[axis] < 3:
            return None
        moved = np.roll(got, step, axis).swapaxes(axis, -1)[..., 1:-1]
        return _near(moved, expected.swapaxes(axis, -1)[..., 1:-1], tol)

    return relation


def _right_within(*inside: slice, least: int = 3) -> Relation:
    """Return a relation: equal in the part ``inside`` of the last axes, wrong outside only."""

    def relation(got: np.ndarray, expected: np.ndarray, tol: float) -> bool | None:
        if got.ndim < len(inside) or min(got.shape[-len(inside) :]) < least:
            return None
        part = (..., *inside)
        return _near(got[part], expected[part], tol)

    return relation


_ALL, _INNER = slice(None), slice(1, -1)

_RELATIONS: list[tuple[str, Relation]] = [
    ("every wrong result is zero", lambda got, expected, tol: not np.any(got)),
    (
        "every wrong result has the opposite sign",
        lambda got, expected, tol: _near(-got, expected, tol),
    ),
    ("the results are right to float32 precision only", _precise_to(1e-5)),
    ("the results are right to 2 or 3 digits only, as float16 or bfloat16 give", _precise_to(2e-2)),
    ("the results run backwards along the width", _flipped(-1)),
    ("the results run backwards along the height", _flipped(-2)),
    ("the results are shifted right by one pixel", _shifted(-1, -1)),
    ("the results are shifted left by one pixel", _shifted(-1, 1)),
    ("the results are shifted down by one pixel", _shifted(-2, -1)),
    ("the results are shifted up by one pixel", _shifted(-2, 1)),
    ("only the last column is wrong", _right_within(slice(None, -1))),
    ("only the last row is wrong", _right_within(slice(None, -1), _ALL)),
    ("only the first column is wrong", _right_within(slice(1, None))),
    ("only the first row is wrong", _right_within(slice(1, None), _ALL)),
    ("only the outermost rows and columns are wrong", _right_within(_INNER, _INNER)),
    ("only images after the first are wrong", _right_within(slice(0, 1), *[_ALL] * 3, least=1)),
    ("only channels after the first are wrong", _right_within(slice(0, 1), _ALL, _ALL, least=1)),
]


def _common_factor(pairs: Pairs) -> float | None:
    """Return the one number by which all wrong results are too large, or None."""
    parts = []
    for got, expected, _ in pairs:
        both = np.isfinite(got) & np.isfinite(expected)
        seen = both & (np.abs(expected) > 1e-3 * largest(expected))
        parts.append(got[seen] / expected[seen])
    ratios = np.concatenate(parts)
    middle = float(np.median(ratios)) if ratios.size else np.nan
    constant = ratios.size > 1 and np.allclose(ratios, middle, rtol=1e-3)
    return middle if constant and abs(middle - 1) > 1e-2 else None
