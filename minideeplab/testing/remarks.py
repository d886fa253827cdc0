"""What wrong results look like, when no known mistake fits: a factor, a sign, a flip, a place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minideeplab.testing.cases import Case
from minideeplab.testing.compare import largest, tolerance
from minideeplab.testing.evidence import Evidence
from minideeplab.testing.relations import Pairs, common_factor, related, rising
from minideeplab.testing.runner import reference
from minideeplab.testing.traits import shared


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
    said += [f"the {count} is {smallest.id}{note}", *_size(rows)]
    return ", and ".join(["no known mistake", *said])


def _size(rows: Sequence[Evidence]) -> Iterator[str]:
    """Say how large the errors are beside the right results."""
    shares = [
        largest(got - expected) / (largest(expected) or 1) for got, expected, _ in _pairs(rows)
    ]
    if shares:
        yield f"errors reach {max(shares):.2g} of the largest result"


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
    return related(pairs) or _factor_of_rows(rows, pairs) or rising(pairs)


def _factor_of_rows(rows: Sequence[Evidence], pairs: Pairs) -> str:
    """Say that each row has a factor of its own: a mean for a sum, a count that is wrong."""
    factors = [common_factor([pair]) for pair in pairs]
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
