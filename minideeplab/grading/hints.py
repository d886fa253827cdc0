"""Hints for wrong answers: a task's cases as evidence for `minideeplab.diagnosis`.

First the known wrong answers are compared: one that gives the same results is the same mistake.
Then errors, relations of wrong results to right ones, the right answer to slightly other
arguments (a padding doubled, a kernel flipped), and the shape. What remains is told by its first
lost case.
"""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minideeplab.diagnosis.arguments import Function, other_arguments
from minideeplab.diagnosis.evidence import (
    Evidence,
    Fault,
    Raised,
    is_number,
    largest,
    right_pairs,
    value_pairs,
)  # fmt: skip
from minideeplab.diagnosis.explain import best_of
from minideeplab.diagnosis.known import Mistake, Prediction, explanations
from minideeplab.diagnosis.relations import factors_of_cases, place, related, shape_remark
from minideeplab.grading.compare import difference
from minideeplab.grading.model import Case, Lesson, Task, WrongAnswer
from minideeplab.grading.outcome import VALUE, Outcome, run_case

ENOUGH = 0.5
"""The share of the lost cases on which a known wrong answer must agree to be named."""

AS_IF = "the result would be right for "

CHECKER = {
    "race": "threads race: one writes an element that another one touches, without a barrier or "
    "an atomic operation between",
    "bounds": "a thread goes beyond the end of an array",
    "barrier": "not all threads of a block come to a barrier",
    "uninitialised": "memory is read that no thread has written",
}
"""What the race checker finds, by the first word of its message."""


def evidence_of(
    lesson: Lesson, task: Task, case: Case, outcome: Outcome, expected: Any
) -> Evidence:
    """Return what an outcome says of a function; the parts of a tuple are results of their own."""
    names = _names(lesson, task, len(case.args))
    right, got = _parts(task, expected, expected), _parts(task, expected, outcome.value)
    if outcome.kind != VALUE:
        text = f"{outcome.error}: {outcome.message}".strip(": ") or outcome.kind
        got, faults = _raised(outcome), [Fault("call", "raised", text)]
    elif set(got) != set(right):
        right, got = {"": expected}, {"": outcome.value}
        text = difference(expected, outcome.value, task.rtol, task.returns)
        faults = [Fault("", "type", text)]
    else:
        texts = {what: difference(right[what], got[what], task.rtol) for what in right}
        faults = [
            Fault(what, _kind(text, right[what], got[what]), text)
            for what, text in texts.items() if text
        ]  # fmt: skip
    return Evidence(
        case.name,
        lambda: dict(zip(names, case.args, strict=True)),
        case.options,
        right,
        got,
        faults,
        lambda what, one, other, room: not difference(other, one, 5 * room * task.rtol)
        if room > 1 else not difference(other, one, task.rtol),
        lambda what: task.rtol * (largest(right[what]) or 1.0),
        source=(case, outcome),
    )  # fmt: skip


def _raised(outcome: Outcome) -> Raised:
    """Return an outcome without a value; what the race checker says is told apart by its advice."""
    message = outcome.message
    if message.partition(":")[0] in CHECKER:
        shared = "shared " if "shared array" in message else ""
        message = f"{shared}{message.partition(':')[0]} {message.rpartition(';')[2]}:"
    place = f"line {outcome.line}" if outcome.line else ""
    return Raised(outcome.error or outcome.kind, message, place)


def _parts(task: Task, expected: Any, value: Any) -> dict[str, Any]:
    """Return a result by name: the parts of a tuple, or one result named ""."""
    if not isinstance(expected, tuple) or not isinstance(value, tuple | list):
        return {"": value}
    names = task.returns if len(task.returns) == len(value) else range(len(value))
    named = [str(name).replace("grad_", "gradient_") for name in names]  # "grad_" is the kit's
    return dict(zip(named, value, strict=True))


def _kind(text: str, right: Any, got: Any) -> str:
    """Return in which way a result is wrong."""
    if got is None:
        return "none"
    for kind in ("shape", "dtype", "returned"):
        if text.startswith(kind):
            return kind
    if not is_number(got) or np.asarray(got).dtype.kind not in "iuf":
        return "other"
    finite = np.all(np.isfinite(got)) or not np.all(np.isfinite(right))
    return "value" if finite else "nan"


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
    place = f"line {outcome.line}: " if outcome.line else ""
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
        text = "NaN or infinity comes out where a number should; is something divided by zero?"
        return _whole(lost, text)
    if kinds != {"value"}:
        return ""
    pairs = value_pairs(lost)
    passing = right_pairs(passed, names)
    text = _argument(lost) or related(pairs, passing)
    return _whole(lost, text or factors_of_cases(pairs, [row.name for row in lost]))


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
    names = _names(lesson, task, len(rows[0].arrays))

    def forward(arguments: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        case = replace(rows[0].source[0], args=tuple(arguments.values()), options=options)
        outcome = run_case(task.reference, case, lesson.given)
        if outcome.kind != VALUE:
            raise ValueError(outcome.error)
        return _parts(task, outcome.value, outcome.value)

    function = Function(forward, {name: name for name in names}, fits=False, text=AS_IF + "{}")
    found = best_of(explanations(other_arguments(function, rows, False), rows, passed, least=1.0))
    confirmed = len(rows) > 1 or any(np.size(v) > 3 for v in rows[0].right.values())
    texts = [e.mistake.text.removeprefix(AS_IF) for e in found]
    return AS_IF + ", or for ".join(texts) if texts and confirmed else ""


def _names(lesson: Lesson, task: Task, count: int) -> list[str]:
    """Return the names of the function's arguments in lesson.py."""
    known = _signatures(lesson.folder).get(task.function, ()) if lesson.folder else ()
    return [known[i] if i < len(known) else f"argument {i + 1}" for i in range(count)]


@functools.lru_cache(maxsize=64)
def _signatures(folder: Any) -> dict[str, tuple[str, ...]]:
    tree = ast.parse((folder / "lesson.py").read_text(encoding="utf-8"))
    return {
        node.name: tuple(arg.arg for arg in (*node.args.posonlyargs, *node.args.args))
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }
