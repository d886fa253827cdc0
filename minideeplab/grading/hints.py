"""Hints for wrong answers: a task's cases as evidence for `minideeplab.diagnosis`.

First the known wrong answers are compared: one that gives the same results is the same mistake.
Then errors, relations of wrong results to right ones, the right answer to slightly other
arguments (a padding doubled, a kernel flipped), and the shape. What remains is told by its first
lost case.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minideeplab.diagnosis.arguments import Function, other_arguments
from minideeplab.diagnosis.evidence import (
    Evidence,
    Fault,
    is_number,
    right_pairs,
    value_pairs,
)
from minideeplab.diagnosis.explain import best_of
from minideeplab.diagnosis.known import Mistake, Prediction, explanations
from minideeplab.diagnosis.relations import (
    common_factor,
    factors_of_cases,
    place,
    related,
    shape_remark,
)
from minideeplab.grading.evidence import CHECKER, argument_names, parts
from minideeplab.grading.model import Lesson, Task, WrongAnswer
from minideeplab.grading.outcome import VALUE, run_case

ENOUGH = 0.5
"""The share of the lost cases on which a known wrong answer must agree to be named."""

AS_IF = "the result would be right for "


def known_mistake(answer: WrongAnswer, rows: Sequence[Evidence]) -> Mistake:
    """Return a known wrong answer, which gave ``rows`` in the task's cases, as a mistake."""
    given = {row.source[0]: Prediction(row.got, row.faults) for row in rows}
    return Mistake(answer.hint, lambda row: given[row.source[0]], answer.name)


def hint_for(
    lesson: Lesson, task: Task, evidence: Sequence[Evidence], known: Sequence[Mistake]
) -> tuple[str, str]:
    """Return a hint, and the name of the known wrong answer that it comes from ("" if none)."""
    lost = sorted((e for e in evidence if e.faults), key=lambda e: not e.source[0].shown)
    passed = [e for e in evidence if not e.faults]
    for row in lost:
        if row.faults[0].kind == "origin":
            return f"case {row.name!r}: {row.faults[0].message}", ""
    alike = best_of(explanations(known, lost, passed, least=ENOUGH))
    answer = alike[0] if alike else None
    if answer is not None and answer.share == 1.0:
        return answer.mistake.text, answer.mistake.name
    text = (
        _error(lost)
        or _order(lost)
        or _relation(lost, passed)
        or _as_if(lesson, task, lost, passed)
        or _whole(lost, shape_remark(_shapes(lost)) or place(value_pairs(lost)))
    )
    if text:
        return text, ""
    if answer is not None:
        return answer.mistake.text, answer.mistake.name
    return f"case {lost[0].name!r}: {told(lost[0])}{_which(lost, passed)}", ""


def told(row: Evidence) -> str:
    """Return what is wrong with a case; of a hidden one nothing that shows its inputs or result."""
    if row.source[0].shown:
        return "; ".join(map(_text, row.faults))
    outcome = row.source[1]
    if outcome.kind != VALUE:
        return CHECKER.get(outcome.message.partition(":")[0], outcome.error)
    safe = [_text(fault) for fault in row.faults if fault.kind in ("shape", "dtype")]
    types = [
        f"a {type(row.got[f.what]).__name__} is returned, expected "
        f"a {type(row.right[f.what]).__name__}"
        for f in row.faults if f.kind in ("returned", "none")
    ]  # fmt: skip
    return "; ".join(safe + types) or "a wrong result"


def _text(fault: Fault) -> str:
    return f"{fault.what}: {fault.message}".removeprefix(": ").removeprefix("call: ")


def _which(lost: Sequence[Evidence], passed: Sequence[Evidence]) -> str:
    """Say which cases are lost, where some are right."""
    if len(lost) == 1 or not passed:
        return ""
    names = ", ".join(row.name for row in lost)
    return f" ({len(lost)} of {len(lost) + len(passed)} cases lost: {names})"


def _error(lost: Sequence[Evidence]) -> str:
    """Explain an exception, where all the lost cases raise."""
    if not all(row.raised for row in lost):
        return ""
    outcome = lost[0].source[1]
    place = f"{outcome.place}: " if outcome.place else ""
    if "read-only" in outcome.message:
        return place + "the function writes into its argument; work on a copy of it"
    if outcome.error in ("SystemExit", "KeyboardInterrupt", "GeneratorExit"):
        return f"{place}the function ends the program ({outcome.error}) instead of returning"
    if outcome.error == "MemoryError":
        return f"{place}the function asks for more memory than there is; is a loop growing a list?"
    some = "" if len(lost) > 1 else f" in case {lost[0].name!r}"
    return f"{place}{told(lost[0])}{some}"


def _order(lost: Sequence[Evidence]) -> str:
    """Look for the parts of a tuple in another order."""
    names = list(lost[0].right)
    if len(names) < 2 or any(row.raised or list(row.right) != names for row in lost):
        return ""
    for order in itertools.permutations(names):
        if all(
            row.same(name, row.got[name], row.right[other], 2.0)
            for row in lost for name, other in zip(names, order, strict=True)
        ):  # fmt: skip
            return f"the parts are right but in another order; return ({', '.join(names)})"
    return ""


def _whole(lost: Sequence[Evidence], text: str) -> str:
    """Return what is said of the one wrong result, with its name if others are right."""
    names = {f.what for row in lost for f in row.faults}
    if len(names) > 1 or any(row.raised for row in lost):
        return ""
    name = names.pop()
    return f"only {name} is wrong{': ' if text else ''}{text}" if name else text


def _relation(lost: Sequence[Evidence], passed: Sequence[Evidence]) -> str:
    """Look at what all the wrong results have in common, their shapes apart."""
    faults = [f for row in lost for f in row.faults]
    kinds, names = {f.kind for f in faults}, {f.what for f in faults}
    if any(row.raised for row in lost) or len(names) > 1:
        return ""
    if kinds == {"none"}:
        return "nothing is returned; is a return missing?"
    if kinds == {"dtype"}:
        return _whole(lost, f"wrong dtype: {told(lost[0]).partition('dtype ')[2]}")
    if kinds <= {"returned", "type"}:
        return told(lost[0])
    if kinds == {"nan"}:
        return _whole(lost, _not_finite(lost))
    if kinds != {"value"}:
        return ""
    pairs = value_pairs(lost)
    passing = right_pairs(passed, names)
    text = _argument(lost) or related(pairs, passing)
    if len(pairs) == 1 and " times the right one" in text and not _plain(common_factor(pairs)):
        text = ""  # a number that is fitted to one case needs another that confirms it
    return _whole(lost, text or factors_of_cases(pairs, [row.name for row in lost]))


def _not_finite(lost: Sequence[Evidence]) -> str:
    """Say which of NaN and infinity there is, and what may cause it."""
    values = [row.got[f.what] for row in lost for f in row.faults]
    if all(not np.any(np.isnan(value)) for value in values):
        return (
            "infinity comes out where a number should; is it a division by zero, the logarithm of "
            "zero, or exp of a large number?"
        )
    return (
        "NaN comes out where a number should; is it 0/0, infinity less infinity or divided by "
        "infinity, or the logarithm or root of a negative number?"
    )


def _plain(factor: float | None) -> bool:
    """Tell whether a factor or its reciprocal is a whole number, as of a count or a forgotten 2."""
    if not factor:
        return False
    return any(abs(f - round(f)) < 1e-6 * abs(f) and round(f) for f in (factor, 1 / factor))


def _argument(lost: Sequence[Evidence]) -> str:
    """Say that an argument is returned as it came."""
    arrays = [[a for a in row.arrays.values() if isinstance(a, np.ndarray)] for row in lost]
    if all(
        any(np.array_equal(row.got[f.what], a) for a in given)
        for row, given in zip(lost, arrays, strict=True) for f in row.faults
    ):  # fmt: skip
        return "an argument is returned as it came"
    return ""


def _shapes(lost: Sequence[Evidence]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [
        (np.shape(row.got[f.what]), np.shape(row.right[f.what]))
        for row in lost if not row.raised
        for f in row.faults if is_number(row.got[f.what])
    ]  # fmt: skip


def _as_if(lesson: Lesson, task: Task, lost: Sequence[Evidence], passed: Sequence[Evidence]) -> str:
    """Return which change of one argument explains all results, "" if none does."""
    rows = [row for row in lost if not row.raised]
    if 2 * len(rows) <= len(lost):
        return ""
    names = argument_names(lesson, task, len(rows[0].arrays))

    def forward(arguments: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        case = replace(rows[0].source[0], args=tuple(arguments.values()), options=options)
        outcome = run_case(task.reference, case, lesson.given)
        if outcome.kind != VALUE:
            raise ValueError(outcome.error)
        return parts(task, outcome.value, outcome.value)

    function = Function(forward, {name: name for name in names}, fits=False, text=AS_IF + "{}")
    found = best_of(explanations(other_arguments(function, rows, False), rows, passed, least=1.0))
    confirmed = len(rows) > 1 or any(np.size(v) > 3 for v in rows[0].right.values())
    texts = [e.mistake.text.removeprefix(AS_IF) for e in found]
    return AS_IF + ", or for ".join(texts) if texts and confirmed else ""
