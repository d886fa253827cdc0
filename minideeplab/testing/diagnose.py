"""Diagnose a report of the kit: its rows as evidence for `minideeplab.diagnosis`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minideeplab.diagnosis.arguments import Function
from minideeplab.diagnosis.conventions import convention
from minideeplab.diagnosis.evidence import Evidence, Fault, Raised
from minideeplab.diagnosis.explain import explain
from minideeplab.diagnosis.known import Mistake, Prediction
from minideeplab.diagnosis.sizes import CRF_SIZES, SIZES, UNBATCHED
from minideeplab.testing.case import Case
from minideeplab.testing.compare import Mismatch, compare, largest
from minideeplab.testing.function_under_test import FunctionUnderTest
from minideeplab.testing.library import Outcome
from minideeplab.testing.mutant import Mutant, right, right_backward
from minideeplab.testing.operations import OPERATIONS, cases, mutants
from minideeplab.testing.properties import check_property, properties
from minideeplab.testing.report import RowResult
from minideeplab.testing.runner import DTYPES, judge, reference, usual_tolerance

TAGS = {
    "empty": "an empty batch",
    "unbatched": UNBATCHED,
    "tie": "ties",
    "random": "entries dropped at random",
}


def diagnose(
    function: FunctionUnderTest,
    rows: Sequence[RowResult],
    dtypes: Sequence[str] = DTYPES,
    rtol: float = 0.0,
    table: Sequence[Case] | None = None,
) -> str:
    """Return in words which mistake the failing rows show, "" if nothing is wrong.

    Args:
        function: the function that was judged.
        rows: all verdicts.
        dtypes: in which it was judged.
        rtol: with which errors were accepted.
        table: the rows that were judged; all of the operation's by default.
    """
    table = cases(function.op) if table is None else table
    failed, passed = _collect(function, rows, dtypes, rtol, table)
    parts = []
    for gradients in (False, True):
        wrong = [row for row in failed if bool(row.wrong(False)) != gradients]
        fine = passed + ([] if gradients else [row for row in failed if not row.wrong(False)])
        if wrong:
            known = [_mistake(m) for m in mutants(function.op) if bool(m.backward) == gradients]
            other = None if gradients else functools.partial(_convention, function, passed=fine)
            parts.append(explain(wrong, fine, known, _function(function.op), gradients, other))
    parts.append(_depends_on_calls(function, passed, rtol) if failed else "")
    if not failed:
        parts.append(_violated(function, {row.row for row in rows if row.status == "fail"}))
    return "; ".join(part for part in parts if part)


def _collect(
    function: FunctionUnderTest,
    rows: Sequence[RowResult],
    dtypes: Sequence[str],
    rtol: float,
    table: Sequence[Case],
) -> tuple[list[Evidence], list[Evidence]]:
    """Return failing rows in their first wrong dtype, run once more, and what passed."""
    by_id = {case.id: function.fitted(case) for case in table}
    failed, passed = [], []
    for row in rows:
        case = by_id.get(row.row)
        if case is None or row.status == "skip":
            continue
        wrong = {finding.dtype: [] for finding in row.findings}
        for finding in row.findings:
            wrong[finding.dtype].append(finding.mismatch)
        for dtype in wrong:
            failed.append(_evidence(case, dtype, function.attempt(case, dtype), wrong[dtype], rtol))
            break
        right = [dtype for dtype in dtypes if dtype not in wrong]
        passed += [_evidence(case, d, reference(case, d), (), rtol) for d in right[:1]]
    return failed, passed


def _evidence(
    case: Case, dtype: str, outcome: Outcome | Mismatch, wrong: Sequence[Mismatch], rtol: float
) -> Evidence:
    expected, got = reference(case, dtype), outcome
    alike = None
    if isinstance(outcome, Mismatch):
        got = _raised(outcome)
        wrong = [Fault("grad_call" if got.where.startswith("backward") else "call", "raised")]
    elif "random" in case.tags:
        if wrong:
            chance = OPERATIONS[case.op].given_chance
            expected, _ = chance(case, case.arguments(dtype), outcome, expected)
        alike = functools.partial(_drawn_alike, case, dtype, outcome)

    def same(what: str, one: Any, other: Any, room: float) -> bool:
        other = np.asarray(other)
        tol = room * (usual_tolerance(case, what, dtype) + rtol * largest(expected[what]))
        if room > 1:
            tol = max(tol, 64.0 * float(np.finfo(dtype).eps) * largest(other))
            return compare(what, one, other, tol, other.dtype) is None
        kind = np.int64 if what == "indices" else dtype
        return compare(what, one, other, tol, np.dtype(kind)) is None

    return Evidence(
        case.id,
        lambda: case.arguments(dtype),
        case.options,
        {name: value for name, value in expected.items() if name != "inputs"},
        got,
        wrong,
        same,
        lambda what: usual_tolerance(case, what, dtype),
        np.dtype(dtype),
        case.cotangent(np.shape(expected["output"]), dtype) if case.differentiable else None,
        [text for tag, text in TAGS.items() if tag in case.tags],
        case.note,
        alike,
        (case, dtype),
    )


def _raised(mismatch: Mismatch) -> Raised:
    error, _, message = mismatch.message.partition(": ")
    return Raised(error, message, mismatch.what)


def _drawn_alike(case: Case, dtype: str, outcome: Outcome, other: Outcome) -> bool:
    """Return whether as many entries are kept, times as many different factors."""
    kept, factors = [], []
    x = case.arguments(dtype)["input"]
    for y in (other["output"], outcome["output"]):
        if np.shape(y) != x.shape:
            return False
        kept.append(np.mean(np.asarray(y) != 0))
        factor = np.unique(np.round((y / x)[np.asarray(y) != 0], 2))
        factors.append(factor if factor.size < 9 else np.full(9, np.inf))
    near = abs(kept[0] - kept[1]) <= 6 / np.sqrt(x.size)
    return near and factors[0].size == factors[1].size and np.allclose(*factors, atol=0.02)


def _mistake(mutant: Mutant) -> Mistake:
    def predict(row: Evidence) -> Prediction:
        outcome, wrong = result(mutant, *row.source)
        return Prediction(_raised(outcome) if isinstance(outcome, Mismatch) else outcome, wrong)

    return Mistake(mutant.diagnosis, predict, mutant.name)


@functools.lru_cache(maxsize=65536)
def result(
    mutant: Mutant, case: Case, dtype: str
) -> tuple[Outcome | Mismatch, tuple[Mismatch, ...]]:
    """Return what a mutant gives on a row, and what is wrong with that."""
    fn = mutant.forward or right(mutant.op)
    outcome = FunctionUnderTest(mutant.op, fn, mutant.backward).attempt(case, dtype)
    if isinstance(outcome, Mismatch):
        return outcome, (outcome,)
    return outcome, tuple(judge(case, case.arguments(dtype), outcome, reference(case, dtype)))


@functools.cache
def _function(op: str) -> Function:
    """Return the definition of ``op`` as guesses call it."""
    record = OPERATIONS[op]
    samples: dict[str, list[Any]] = {}
    for case in record.rows:
        for name, value in case.options.items():
            samples.setdefault(name, []).append(value)

    def forward(arguments: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        y = right(op)(*arguments.values(), **options)
        parts = y if isinstance(y, tuple) else (np.asarray(y),)
        return {**arguments, **dict(zip(("output", "indices"), parts, strict=False))}

    def backward(arguments: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        arrays = dict(arguments)
        given = right_backward(op)(arrays.pop("grad_out"), *arrays.values(), **options)
        return {f"grad_{n}": g for n, g in zip(arrays, given, strict=False) if g is not None}

    return Function(
        forward,
        {name: f"the {name}" for name in record.arguments},
        backward,
        record.default_options(),
        samples,
        record.scaled_at_once,
        record.bordered,
        CRF_SIZES if record.family == "crf" else SIZES,
    )


def _convention(
    function: FunctionUnderTest, rows: Sequence[Evidence], passed: Sequence[Evidence]
) -> str:
    """Return under which convention the function would be right, "" if none is found."""
    if function.library.name != "numpy":
        return ""

    def passes(row: Evidence, fn: Callable[..., Any]) -> bool:
        case, dtype = row.source
        outcome = replace(function, fn=fn, backward=None).attempt(case, dtype)
        if isinstance(outcome, Mismatch):
            return False
        return not judge(case, case.arguments(dtype), outcome, reference(case, dtype))

    return convention(function.op, rows, passed, function.fn, passes)


def _depends_on_calls(function: FunctionUnderTest, passed: Sequence[Evidence], rtol: float) -> str:
    """Say that a row that passed is wrong when it is run again; a few rows are tried."""
    if type(function) is not FunctionUnderTest:  # results computed elsewhere
        return ""
    for row in passed[:: 1 + len(passed) // 6]:
        case, dtype = row.source
        outcome = function.attempt(case, dtype)
        wrong = isinstance(outcome, Mismatch) or judge(
            case, case.arguments(dtype), outcome, reference(case, dtype), rtol
        )
        if wrong and "random" not in case.tags:
            return f"{case.id} passed and is wrong when run again: results depend on earlier calls"
    return ""


def _violated(function: FunctionUnderTest, failing: set[str]) -> str:
    """Explain rows that are no rows of the table: properties, such as buffers used twice."""
    for mutant in mutants(function.op):
        if mutant.property_only:
            judged = FunctionUnderTest(mutant.op, mutant.forward)
            broken = {
                f"{mutant.op}/property-{prop.name}"
                for prop in properties(mutant.op)
                if not prop.needs_gradient and check_property(prop, judged, "float64")
            }
            if broken == failing:
                return f"{mutant.diagnosis} [{mutant.name}]"
    notes = {
        f"{function.op}/property-{p.name}": (p.equation.__doc__ or "").partition("\n")[0]
        for p in properties(function.op)
    }
    broken = [f"{row.partition('-')[2]}: {notes[row]}" for row in sorted(failing) if row in notes]
    return f"every row of the table is right, but not the rule {broken[0]}" if broken else ""
