"""``check("2.1", function)``: run the visible cases inside a lesson's notebook or file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.diagnosis.evidence import Evidence
from minideeplab.diagnosis.known import Mistake
from minideeplab.grading.catalogue import find_lesson, load_module
from minideeplab.grading.evidence import evidence_of
from minideeplab.grading.hints import hint_for, known_mistake, told
from minideeplab.grading.judge import expected
from minideeplab.grading.leaks import numbers_in, secrets
from minideeplab.grading.model import Case, Lesson, Task, WrongAnswer
from minideeplab.grading.outcome import NOT_DONE, Outcome, run_case
from minideeplab.grading.serialization import (
    decode,
    decode_case,
    decode_outcome,
    encode,
    encode_case,
    encode_outcome,
)
from minideeplab.grading.unread import unread


def visible_name(number: str) -> str:
    """Return the name of the file with a lesson's visible cases."""
    return f"visible_{number}.json"


def checker(number: str) -> Callable[[str, Callable[..., Any]], None]:
    """Return a lesson's ``check(task, function)``, which prints the verdict on the visible cases.

    The cases are read from ``visible_NN.json`` in the working folder, which
    ``minideeplab lesson build`` wrote, or else from the lessons of the checkout.

    Args:
        number: of the lesson, such as "02".

    Raises:
        ValueError: there is neither.
    """
    path, given_path, given = Path(visible_name(number)), Path("given.py"), None
    if not path.is_file():
        lesson = find_lesson(number)
        text, given = visible_text(lesson), lesson.given
    else:
        text = path.read_text(encoding="utf-8")
        if given_path.is_file():
            given = load_module(given_path.resolve())
    rows = json.loads(text)

    def check(task: str, function: Callable[..., Any]) -> None:
        print(report(task, function, rows[task], sys.modules.get("given", given)))

    return check


def visible_text(lesson: Lesson) -> str:
    """Return as JSON a lesson's visible cases, their expected results, and what mistakes give.

    A known wrong answer that another one equals on the visible cases is left out, since only the
    hidden cases tell the two apart, and so is one whose results show a number of a hidden case.
    """
    hidden = {number for *_, numbers in secrets(lesson) for number in numbers}
    return json.dumps({task.id: _rows(lesson, task, hidden) for task in lesson.tasks}, indent=1)


def _rows(lesson: Lesson, task: Task, hidden: set[str]) -> list[dict[str, Any]]:
    """Return the visible cases of a task, each with the outcomes of known wrong answers by name."""
    shown = [case for case in task.cases if case.shown]
    answers = {answer.name: answer for answer in lesson.wrong_answers(task)}
    outcomes = {
        name: [encode_outcome(run_case(answer.function, case, lesson.given)) for case in shown]
        for name, answer in answers.items()
    }
    texts = {name: json.dumps(found) for name, found in outcomes.items()}
    hints = {text: {answers[n].hint for n in texts if texts[n] == text} for text in texts.values()}
    told_apart = [
        name for name, text in texts.items()
        if len(hints[text]) == 1 and not hidden & numbers_in(text)
    ]  # fmt: skip
    return [
        {"name": case.name, **encode_case(case), "rtol": task.rtol,
         "expected": encode(expected(lesson, task, case)), "returns": list(task.returns),
         "function": task.function, "origin": task.origin,
         "mistakes": {n: {"hint": answers[n].hint, **outcomes[n][i]} for n in told_apart}}
        for i, case in enumerate(shown)
    ]  # fmt: skip


def report(task: str, function: Callable[..., Any], rows: list[dict[str, Any]], given: Any) -> str:
    """Return the verdict on a function as text of a few lines.

    Args:
        task: its id.
        function: the student's.
        rows: the visible cases, as `visible_text` encodes them.
        given: the module of the lesson's given functions.
    """
    first = rows[0]
    cases = tuple(replace(decode_case(row, row["name"]), shown=True) for row in rows)
    returns, origin = tuple(first.get("returns", ())), first.get("origin", "")
    one = Task(task, first.get("function", ""), 0, _no_reference, cases, returns, first["rtol"],
               origin=origin)  # fmt: skip
    lesson = Lesson(None, None, (one,), (), given)  # type: ignore[arg-type]
    file = getattr(getattr(function, "__code__", None), "co_filename", "")
    outcomes = [run_case(function, case, given, file) for case in cases]
    if any(outcome.kind == NOT_DONE for outcome in outcomes):
        return f"task {task}: not done yet"

    def collect(found: Sequence[Outcome]) -> list[Evidence]:
        return [evidence_of(lesson, one, case, outcome, decode(row["expected"]))
                for case, outcome, row in zip(cases, found, rows, strict=True)]  # fmt: skip

    evidence = collect(outcomes)
    return "\n".join([_verdict(lesson, one, evidence, _mistakes(rows, collect)),
                      *_left_out(task, function)])  # fmt: skip


def _mistakes(
    rows: list[dict[str, Any]], collect: Callable[[list[Outcome]], list[Evidence]]
) -> list[Mistake]:
    """Return the known wrong answers that came with the visible cases."""
    found = []
    for name, first in rows[0].get("mistakes", {}).items():
        texts = [json.dumps({"case": 0, **row["mistakes"][name]}) for row in rows]
        evidence = collect([decode_outcome(text)[1] for text in texts])
        if any(row.faults for row in evidence):
            answer = WrongAnswer("", name, "", first["hint"], _no_reference)
            found.append(known_mistake(answer, evidence))
    return found


def _no_reference(*args: Any, **options: Any) -> Any:
    """Stand for the right function, which is not handed out."""
    raise ValueError("the reference is not handed out")


def _verdict(
    lesson: Lesson, task: Task, evidence: Sequence[Evidence], known: Sequence[Mistake]
) -> str:
    lost = [row for row in evidence if row.faults]
    if not lost:
        return f"task {task.id}: all {len(evidence)} visible cases are right"
    hint, _ = hint_for(lesson, task, evidence, known)
    case, text = lost[0].source[0], told(lost[0])
    lines = [f"task {task.id}, case {case.name!r}: {text}", f"  called with {_call(case)}"]
    return "\n".join(lines if text in hint else [*lines, f"  hint: {hint}"])


def _left_out(task: str, function: Callable[..., Any]) -> list[str]:
    """Say which names the function uses and the grader does not read."""
    return [
        f"task {task}: {name} ({place}) is not read when you are graded: only imports, functions, "
        "classes and constants are; move it into the function"
        for name, place in unread(function).items()
    ]


def _call(case: Case) -> str:
    parts = [_argument(a) for a in case.args]
    return ", ".join(parts + [f"{k}={_argument(v)}" for k, v in case.options.items()])


def _argument(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 12:
        return f"an array of shape {value.shape}"
    return repr(value)
