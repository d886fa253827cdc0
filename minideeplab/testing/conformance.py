"""``check_op``: is this function the operation that it claims to be, forward and backward?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from minideeplab.testing import frameworks
from minideeplab.testing.case import Case
from minideeplab.testing.compare import Mismatch
from minideeplab.testing.diagnose import diagnose
from minideeplab.testing.function_under_test import (
    OUTSIDE,
    FunctionUnderTest,
    arrays_of,
    name_of,
)
from minideeplab.testing.operations import find
from minideeplab.testing.properties import Property, check_property, properties
from minideeplab.testing.report import Finding, Report, RowResult
from minideeplab.testing.runner import DTYPES, framework_reference, judge, quiet, reference
from minideeplab.testing.scope import Scope, chosen


def check_op(
    op: str,
    fn: Callable[..., Any],
    backward: Callable[..., Any] | None = None,
    dtypes: Sequence[Any] = DTYPES,
    against: Sequence[str] = ("reference",),
    arrays: str = "auto",
    raises: bool = True,
    skip: Sequence[str] = ("quirk",),
    rtol: float = 0.0,
    name: str = "",
    only: Sequence[str] = (),
    scope: str = "all",
    fuzz: int = 0,
    seed: int | None = None,
) -> Report:
    """Judge ``fn`` on every row of operation ``op``'s table and by its properties.

    Args:
        op: the operation's name, e.g. "conv2d".
        fn: called like ``torch.nn.functional.<op>``: arrays by position, options by keyword.
        backward: ``backward(grad_out, *args, **options)`` returning the gradients of the array
            arguments in order (None where there is none). torch and JAX functions are
            differentiated by their framework without it; others are then judged forward only.
        dtypes: "float64", "float32" or both.
        against: "reference", the NumPy definition; "torch", if installed; or both.
        arrays: what ``fn`` takes and returns: "numpy", "torch", "jax", "cupy" or "minideeplab";
            "auto" recognises functions of torch, JAX and CuPy and takes NumPy for others.
        raises: raise AssertionError, with the report as text, if the function is wrong.
        skip: tags ("nan", "empty", "unbatched", ...) of rows to leave out; by default "quirk",
            where torch's result follows from its way of computing and other right ones may differ.
        rtol: accept errors up to this share of the largest result, beyond the derived tolerance:
            for approximations, such as a lattice for "gaussian_filter".
        only: judge only rows that have one of these words as a tag, as an option's value or in
            their name, e.g. ("bilinear",); the report says so.
        scope: "inference" leaves out rows with ``training=True``; the report says so.
        fuzz: how many random rows to judge besides, of ``seed``, which is drawn if not given. Their
            names, fuzz-SEED-NUMBER, tell it.
        name: what the report calls the function; its module and name by default.

    Returns:
        The report: ``passed``, ``failures``, ``diagnosis``, ``to_json()``, ``to_markdown()``.

    Raises:
        AssertionError: something is wrong, and ``raises``.
        ValueError: an unknown operation, dtype, reference, kind of arrays, tag or scope.
        ImportError: the array library, or a framework to compare with, is not installed.
    """
    names = _validate(dtypes, against)
    limits = Scope(tuple(only), scope, tuple(skip))
    find(op)
    limits.validate(op)
    library = frameworks.library(arrays_of(op, fn) if arrays == "auto" else arrays)
    function = FunctionUnderTest(op, fn, backward, library, name or name_of(fn), limits)
    with quiet(), function.library.judging():
        report = _judged(function, names, against, rtol, chosen(op, limits, fuzz, seed))
    if raises and not report.passed:
        raise AssertionError(str(report))
    return report


def _judged(
    function: FunctionUnderTest,
    names: Sequence[str],
    against: Sequence[str],
    rtol: float,
    table: Sequence[Case],
) -> Report:
    """Judge every row and every property, and diagnose what failed."""
    op = function.op
    equations = [p for p in properties(op) if function.differentiates or not p.needs_gradient]
    with ThreadPoolExecutor(function.library.workers) as pool:
        run = pool.map if function.library.workers > 1 else map
        rows = list(run(lambda case: _row(function, case, names, against, rtol), table))
        rows += run(lambda prop: _property(function, prop, names, rtol), equations)
    rows = [row for row in rows if row.reason != OUTSIDE]
    forward_only = not function.differentiates
    report = Report(op, function.name, rows, "", forward_only, str(function.scope))
    if report.failures:
        return replace(report, diagnosis=diagnose(function, rows, names, rtol, table))
    return report


def _validate(dtypes: Sequence[Any], against: Sequence[str]) -> list[str]:
    """Return the names of the dtypes; what is unknown or not installed is an error."""
    names = [str(dtype) if isinstance(dtype, str) else np.dtype(dtype).name for dtype in dtypes]
    for argument, values, known in (
        ("dtypes", names, DTYPES),
        ("against", list(against), ("reference", "torch")),
    ):
        if not values or not set(values) <= set(known):
            raise ValueError(f"{argument} must be a sequence out of {known}; got {values!r}")
    for name in against:
        if name != "reference":
            frameworks.library(name)
    return names


def _row(
    function: FunctionUnderTest,
    case: Case,
    dtypes: Sequence[str],
    against: Sequence[str],
    rtol: float,
) -> RowResult:
    """Judge one row of the table, in every dtype and against every reference."""
    case = function.fitted(case)
    lacking = function.lacks(case)
    if lacking:
        return RowResult(case.id, "skip", reason=lacking)
    findings: list[Finding] = []
    for dtype in dtypes:
        outcome = function.attempt(case, dtype)
        if isinstance(outcome, Mismatch):
            if outcome.kind == "not implemented":
                return RowResult(case.id, "skip", reason=outcome.message)
            findings.append(Finding(dtype, "reference", outcome))
            continue
        for name in against:
            expected = (
                reference(case, dtype)
                if name == "reference"
                else framework_reference(case, dtype, name)
            )
            findings += [
                Finding(dtype, name, mismatch)
                for mismatch in judge(case, case.arguments(dtype), outcome, expected, rtol)
            ]
    return RowResult(case.id, "fail" if findings else "pass", tuple(findings), note=case.note)


def _property(
    function: FunctionUnderTest, prop: Property, dtypes: Sequence[str], rtol: float
) -> RowResult:
    """Judge one equation in every dtype."""
    found = [(dtype, check_property(prop, function, dtype, rtol)) for dtype in dtypes]
    findings = tuple(Finding(dtype, "identity", wrong) for dtype, wrong in found if wrong)
    name = f"{function.op}/property-{prop.name}"
    if findings and findings[0].mismatch.kind == "not implemented":
        return RowResult(name, "skip", reason=findings[0].mismatch.message)
    return RowResult(name, "fail" if findings else "pass", findings, note=prop.note)
