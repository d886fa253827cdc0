"""Which known mistake is this? The failing function is compared with every wrong implementation.

A function and a mutant that are wrong on the same rows in the same way make the same mistake. If
none fits, conventions are tried (would it be right on NHWC arrays?), then simple relations of the
wrong results to the right ones (a factor, a sign, a flip), then what the failing rows share.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from minideeplab.testing.cases import Case, cases
from minideeplab.testing.compare import Mismatch, compare, largest
from minideeplab.testing.conventions import convention
from minideeplab.testing.evidence import Evidence, collect, is_gradient
from minideeplab.testing.function_under_test import Subject
from minideeplab.testing.guesses import guesses
from minideeplab.testing.library import Outcome
from minideeplab.testing.mutant import right
from minideeplab.testing.mutants import Mutant, mutants
from minideeplab.testing.properties import check_property, properties
from minideeplab.testing.remarks import remark
from minideeplab.testing.report import RowResult
from minideeplab.testing.runner import judge, reference, usual_tolerance
from minideeplab.testing.traits import shared

ENOUGH = 0.3
"""The share of the failing rows on which a mutant must make the same mistake to be named."""

SURE = 0.9
"""The score of a known mistake from which on nothing else is looked for."""

GLANCE = 6
"""Rows after which a guess is given up if it fits none of them: there are hundreds of guesses."""

ENOUGH_RAISED = 0.7
"""The same where both only raise, which says less than equal wrong results."""

MOST = 3
"""How many mistakes one function is believed to make."""


def diagnose(subject: Subject, failures: Sequence[RowResult]) -> str:
    """Return in words which known mistake the failing rows show, "" if none is recognised."""
    evidence = collect(subject, failures)
    forward = [e for e in evidence if any(not is_gradient(m) for m in e.mismatches)]
    backward = [e for e in evidence if e not in forward]
    parts = []
    for rows, gradients in ((forward, False), (backward, True)):
        if rows:
            parts.append(_explain(subject, rows, gradients))
    if not evidence:
        parts.append(_violated(subject, {row.row for row in failures}))
    return "; ".join(part for part in parts if part)


def _explain(subject: Subject, rows: list[Evidence], gradients: bool) -> str:
    """Return the best explanation of rows that are wrong in their outputs, or gradients."""
    wrong = [row for row in rows if not isinstance(row.outcome, Mismatch)]
    known, rest, there = _known_mistakes(subject.op, wrong or rows, rows, gradients)
    if not known and not gradients:
        found = convention(subject, [(e.case, e.dtype) for e in rows])
        if found:
            return found
    table = cases(subject.op)
    parts = known or [remark(wrong, table), there]
    if known and rest:
        parts.append(f"{len(rest)} more rows are wrong in another way: {remark(rest, table)}")
    raised = [row for row in rows if isinstance(row.outcome, Mismatch)]
    if raised and (rest or not known or wrong):
        parts.append(f"{len(raised)} rows raise, {raised[0].case.id} {raised[0].outcome.message}")
        parts.append(shared({row.case.id for row in raised}, table))
    return "; ".join(part for part in parts if part)


@dataclass(frozen=True)
class Explanation:
    """A mistake, the rows that it explains, and how well it predicts all verdicts, in [0, 1]."""

    mutant: Mutant
    matched: list[Evidence]
    score: float


def _known_mistakes(
    op: str, rows: list[Evidence], failing: list[Evidence], gradients: bool
) -> tuple[list[str], list[Evidence], str]:
    """Return the mutants that together explain ``rows``, best first, and the rows left over.

    The third is a mistake that these rows show and others, which are right, do not.
    """
    parts: list[str] = []
    there = ""
    candidates = [m for m in mutants(op) if (m.backward is not None) == gradients]
    while rows and len(parts) < MOST:
        found = _explanations(candidates, rows, failing)
        if not found or found[0].score < SURE:
            found += _explanations(guesses(op, rows, gradients), rows, failing)
        best = max(found, key=lambda e: e.score, default=None)
        if best is None or best.score < ENOUGH or (parts and len(best.matched) < 2):
            there = "" if parts else _in_these_rows(found, rows)
            break
        name = f"{best.mutant.name}: " if best.mutant.name else ""
        count = f"{name}the same on {len(best.matched)} of {len(rows)} failing rows"
        parts.append(f"{best.mutant.diagnosis} [{count}]")
        rows = [row for row in rows if row not in best.matched]
    return parts, rows, there


def _in_these_rows(found: Sequence[Explanation], rows: list[Evidence]) -> str:
    """Return what explains nearly all of the rows, though others would be wrong by it, too."""
    best = max(found, key=lambda e: len(e.matched), default=None)
    if best is None or len(best.matched) < max(2.0, SURE * len(rows)):
        return ""
    return f"there, but not elsewhere, {best.mutant.diagnosis}"


def _explanations(
    candidates: Iterable[Mutant], rows: list[Evidence], failing: list[Evidence]
) -> list[Explanation]:
    """Return the candidates that explain enough of the rows, up to a perfect one, best first.

    Rows that fail with the mutant but not with the function count against it.
    """
    found = []
    ids = {evidence.case.id for evidence in failing}
    for mutant in candidates:
        matched = _matched(mutant, rows)
        if matched:
            others = [case for case in cases(mutant.op) if case.id not in ids]
            excess = sum(bool(result(mutant, case, "float64")[1]) for case in others)
            found.append(Explanation(mutant, matched, len(matched) / (len(rows) + excess)))
            if found[-1].score == 1.0:
                break
    return sorted(found, key=lambda e: -e.score)


def _matched(mutant: Mutant, rows: list[Evidence]) -> list[Evidence]:
    """Return the rows on which the mutant makes the same mistake, [] if they are not enough."""
    only_raised = all(isinstance(row.outcome, Mismatch) for row in rows)
    enough = (ENOUGH_RAISED if only_raised else ENOUGH) * len(rows)
    matched: list[Evidence] = []
    mixed = [row for start in range(GLANCE) for row in rows[start::GLANCE]]
    for number, row in enumerate(mixed):
        hopeless = len(matched) + len(rows) - number < enough  # even if all others match
        if hopeless or (not mutant.name and number >= GLANCE and not matched):
            return []
        matched += [row] if _same(mutant, row) else []
    return matched if len(matched) >= enough else []


def result(
    mutant: Mutant, case: Case, dtype: str
) -> tuple[Outcome | Mismatch, tuple[Mismatch, ...]]:
    """Return what a mutant gives on a row, and what is wrong with that; kept if it has a name."""
    return _known_result(mutant, case, dtype) if mutant.name else _result(mutant, case, dtype)


def _result(
    mutant: Mutant, case: Case, dtype: str
) -> tuple[Outcome | Mismatch, tuple[Mismatch, ...]]:
    fn = mutant.forward or right(mutant.op)
    outcome = Subject(mutant.op, fn, mutant.backward).attempt(case, dtype)
    if isinstance(outcome, Mismatch):
        return outcome, (outcome,)
    return outcome, tuple(judge(case, case.arguments(dtype), outcome, reference(case, dtype)))


_known_result = functools.lru_cache(maxsize=65536)(_result)


def _same(mutant: Mutant, evidence: Evidence) -> bool:
    """Return whether the mutant makes all of the row's mistakes of its kind, with equal results."""
    outcome, wrong = result(mutant, evidence.case, evidence.dtype)
    relevant = evidence.relevant(mutant.backward is not None)
    known = {(m.what, m.kind) for m in wrong}
    if not relevant or not {(m.what, m.kind) for m in relevant} <= known:
        return False
    if isinstance(outcome, Mismatch) or isinstance(evidence.outcome, Mismatch):
        return bool(mutant.name)
    if not mutant.name and mutant.forward:  # a guess may spoil nothing that is right
        seen = {m.what for m in evidence.mismatches}
        if any(m.what not in seen and not is_gradient(m) for m in wrong):
            return False
    if "random" in evidence.case.tags:
        return _same_but_for_dice(outcome, evidence)
    return all(_equal(m, outcome, evidence) for m in relevant if m.kind in _SEEN)


def _same_but_for_dice(outcome: Outcome, evidence: Evidence) -> bool:
    """Return whether as many entries are kept, times as many different factors."""
    kept, factors = [], []
    for y in (outcome["output"], evidence.outcome["output"]):
        x = evidence.case.arguments(evidence.dtype)["input"]
        if np.shape(y) != x.shape:
            return False
        kept.append(np.mean(np.asarray(y) != 0))
        factor = np.unique(np.round((y / x)[np.asarray(y) != 0], 2))
        factors.append(factor if factor.size < 9 else np.full(9, np.inf))
    near = abs(kept[0] - kept[1]) <= 6 / np.sqrt(x.size)
    return near and factors[0].size == factors[1].size and np.allclose(*factors, atol=0.02)


_SEEN = ("value", "nan", "shape", "dtype")
"""Kinds of mismatch where the wrong results themselves must agree, too."""


def _equal(mismatch: Mismatch, outcome: Outcome, evidence: Evidence) -> bool:
    case, what = evidence.case, mismatch.what
    theirs = np.asarray(outcome[what])
    rounding = 64.0 * float(np.finfo(evidence.dtype).eps) * largest(theirs)
    tol = max(2.0 * usual_tolerance(case, what, evidence.dtype), rounding)
    return compare(what, evidence.outcome[what], theirs, tol, theirs.dtype) is None


def _violated(subject: Subject, failing: set[str]) -> str:
    """Explain rows that are no rows of the table: properties, such as buffers used twice."""
    for mutant in mutants(subject.op):
        if mutant.property_only:
            judged = Subject(mutant.op, mutant.forward)
            broken = {
                f"{mutant.op}/property-{prop.name}"
                for prop in properties(mutant.op)
                if not prop.needs_gradient and check_property(prop, judged, "float64")
            }
            if broken == failing:
                return f"{mutant.diagnosis} [{mutant.name}]"
    notes = {
        f"{subject.op}/property-{p.name}": (p.equation.__doc__ or "").partition("\n")[0]
        for p in properties(subject.op)
    }
    broken = [f"{row.partition('-')[2]}: {notes[row]}" for row in sorted(failing) if row in notes]
    return f"every row of the table is right, but not the rule {broken[0]}" if broken else ""
