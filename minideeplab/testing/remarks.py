"""Simple relations between wrong and right results, when no known mistake fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minideeplab.testing.cases import Case
from minideeplab.testing.compare import largest, tolerance
from minideeplab.testing.runner import reference

if TYPE_CHECKING:
    from minideeplab.testing.diagnose import Evidence

Pairs = list[tuple[np.ndarray, np.ndarray, float]]
Relation = Callable[[np.ndarray, np.ndarray, float], bool | None]
"""Whether wrong and right result are so related within a tolerance; None if it cannot be seen."""


def remark(rows: Sequence[Evidence], table: Sequence[Case]) -> str:
    """Return what the wrong results have in common, "" if nothing is seen."""
    pairs = list(_pairs(rows))
    if all(wrong.kind == "dtype" for row in rows for wrong in row.mismatches):
        return f"the results have another dtype than the input: {rows[0].mismatches[0].message}"
    if rows and all(wrong.kind == "nan" for row in rows for wrong in row.mismatches):
        return "NaN or infinity comes out where it should not, or is lost where it should"
    if pairs:
        for text, relation in _RELATIONS:
            verdicts = [relation(*pair) for pair in pairs]
            if True in verdicts and False not in verdicts:
                return text
        factor = _common_factor(pairs)
        if factor is not None:
            return f"every wrong result is {factor:.6g} times the right one"
    return _shared_option(rows, table)


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
]


def _common_factor(pairs: Pairs) -> float | None:
    """Return the one number by which all wrong results are too large, or None."""
    got = np.concatenate([g.ravel() for g, _, _ in pairs])
    expected = np.concatenate([e.ravel() for _, e, _ in pairs])
    both = np.isfinite(got) & np.isfinite(expected)
    seen = both & (np.abs(expected) > 1e-3 * largest(expected))
    ratios = got[seen] / expected[seen]
    middle = float(np.median(ratios)) if ratios.size else np.nan
    constant = ratios.size > 1 and np.allclose(ratios, middle, rtol=1e-3)
    return middle if constant and abs(middle - 1) > 1e-2 else None


def _shared_option(rows: Sequence[Evidence], table: Sequence[Case]) -> str:
    """Return the option or tag that exactly the failing rows have."""
    failing = {row.case.id for row in rows}

    def exactly(has: Callable[[Case], bool]) -> bool:
        return all(has(c) for c in table if c.id in failing) and not any(
            has(c) for c in table if c.id not in failing
        )

    for name in sorted({name for row in rows for name in row.case.options}):
        if exactly(lambda c, name=name: name in c.options):
            return f"exactly the rows with the option {name} are wrong"
    for tag in sorted({tag for row in rows for tag in row.case.tags}):
        if exactly(lambda c, tag=tag: tag in c.tags):
            return f"exactly the rows about {tag!r} are wrong"
    return ""
