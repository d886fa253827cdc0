"""Naming the likely mistake in a wrong answer.

First the known wrong answers are compared: one that gives the same results is the same mistake.
Otherwise general signs are tried (nothing returned, a sign, axes swapped, parts in another order),
then the right answer to slightly other arguments (a padding doubled, a kernel flipped), then the
shape. What remains is told by its first lost case.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from minideeplab.grading.compare import difference
from minideeplab.grading.guesses import as_if
from minideeplab.grading.model import Case, Lesson, Task, WrongAnswer
from minideeplab.grading.outcome import ERROR, VALUE, Outcome
from minideeplab.grading.signs import shape_of, sign_of, told

ENOUGH = 0.5
"""The share of the lost cases on which a known wrong answer must agree to be named."""


@dataclass(frozen=True)
class Evidence:
    """A case, what the function gave, the right result, and what is wrong ("" if nothing is)."""

    case: Case
    outcome: Outcome
    expected: Any
    wrong: str


def hint_for(
    lesson: Lesson,
    task: Task,
    evidence: Sequence[Evidence],
    known: Sequence[tuple[WrongAnswer, list[Evidence]]],
) -> tuple[str, str]:
    """Return a hint, and the name of the known wrong answer that it comes from ("" if none)."""
    answer, share = _most_alike(task, evidence, known)
    if answer is not None and share == 1.0:
        return answer.hint, answer.name
    lost = sorted((e for e in evidence if e.wrong), key=lambda e: not e.case.shown)
    text = (
        _error(lost)
        or _parts(task, lost)
        or sign_of(lost, task.rtol)
        or as_if(lesson, task, evidence)
        or shape_of(lost)
    )
    if text:
        return text, ""
    if answer is not None:
        return answer.hint, answer.name
    return f"case {lost[0].case.name!r}: {told(lost[0])}{_what_they_share(evidence)}", ""


def _most_alike(
    task: Task,
    evidence: Sequence[Evidence],
    known: Sequence[tuple[WrongAnswer, list[Evidence]]],
) -> tuple[WrongAnswer | None, float]:
    """Return the known wrong answer with the same results on most lost cases, and the share.

    Cases that only one of the two loses count against it.
    """
    best, best_share = None, 0.0
    for answer, theirs in known:
        pairs = [(a, b) for a, b in zip(evidence, theirs, strict=True) if a.wrong or b.wrong]
        alike = [a for a, b in pairs if _alike(task, a.outcome, b.outcome)]
        share = len(alike) / len(pairs)
        if any(a.wrong for a in alike) and share > best_share:
            best, best_share = answer, share
    return (best, best_share) if best_share >= ENOUGH else (None, 0.0)


def _alike(task: Task, one: Outcome, other: Outcome) -> bool:
    """Tell whether two outcomes are the same: the same value, or the same kind of error."""
    if one.kind != other.kind:
        return False
    if one.kind == VALUE:
        return not difference(other.value, one.value, 10 * task.rtol)
    return one.error == other.error and _gist(one.message) == _gist(other.message)


def _gist(message: str) -> str:
    """Return what an error's message says before the details: no numbers, nothing after a colon."""
    return re.sub(r"\d+", "#", message).partition(":")[0]


def _error(lost: Sequence[Evidence]) -> str:
    """Explain an exception, where all the lost cases raise."""
    if any(e.outcome.kind != ERROR for e in lost):
        return ""
    outcome = lost[0].outcome
    place = f"line {outcome.line}: " if outcome.line else ""
    if "read-only" in outcome.message:
        return place + "the function writes into its argument; work on a copy of it"
    if outcome.error in ("SystemExit", "KeyboardInterrupt", "GeneratorExit"):
        return f"{place}the function ends the program ({outcome.error}) instead of returning"
    if outcome.error == "MemoryError":
        return f"{place}the function asks for more memory than there is; is a loop growing a list?"
    some = "" if len(lost) > 1 else f" in case {lost[0].case.name!r}"
    return f"{place}{told(lost[0])}{some}"


def _parts(task: Task, lost: Sequence[Evidence]) -> str:
    """Look at a tuple's parts: in another order, or only some of them wrong."""
    if not all(isinstance(e.expected, tuple) and e.outcome.kind == VALUE for e in lost):
        return ""
    count = len(lost[0].expected)
    if not all(isinstance(e.outcome.value, (tuple, list)) for e in lost):
        return ""
    if not all(len(e.outcome.value) == len(e.expected) == count for e in lost):
        return ""
    names = task.returns or tuple(f"part {i}" for i in range(count))
    for order in itertools.permutations(range(count)):
        if all(
            not difference(tuple(e.expected[i] for i in order), e.outcome.value, task.rtol)
            for e in lost
        ):
            wanted = ", ".join(names)
            return f"the parts are right but in another order; return ({wanted})"
    for i, name in enumerate(names):
        if all(_only(e, i, task.rtol) for e in lost):
            part = [
                Evidence(e.case, Outcome(VALUE, e.outcome.value[i]), e.expected[i], e.wrong)
                for e in lost
            ]
            sign = sign_of(part, task.rtol)
            return f"only {name} is wrong{': ' + sign if sign else ''}"
    return ""


def _only(e: Evidence, i: int, rtol: float) -> bool:
    """Tell whether exactly part ``i`` of a returned tuple is wrong."""
    pairs = zip(e.expected, e.outcome.value, strict=True)
    return [bool(difference(right, got, rtol)) for right, got in pairs] == [
        k == i for k in range(len(e.expected))
    ]


def _what_they_share(evidence: Sequence[Evidence]) -> str:
    """Say which cases are lost, where some are right."""
    lost = [e.case.name for e in evidence if e.wrong]
    if len(lost) in (1, len(evidence)):
        return ""
    return f" ({len(lost)} of {len(evidence)} cases lost: {', '.join(lost)})"
