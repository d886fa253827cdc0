"""``check("2.1", function)``: run the visible cases inside a lesson's notebook or file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.grading.catalogue import find_lesson, load_module
from minideeplab.grading.compare import difference
from minideeplab.grading.judge import expected
from minideeplab.grading.model import Case, Lesson
from minideeplab.grading.outcome import NOT_DONE, VALUE, run_case
from minideeplab.grading.serialization import decode, decode_case, encode, encode_case


@dataclass(frozen=True)
class Visible:
    """A visible case with its expected result and tolerance."""

    case: Case
    expected: Any
    rtol: float
    returns: tuple[str, ...]


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
    path = Path(visible_name(number))
    text = path.read_text() if path.is_file() else visible_text(find_lesson(number))
    rows = {task: [_row(row) for row in found] for task, found in json.loads(text).items()}
    given_path = Path("given.py")
    given = load_module(given_path.resolve()) if path.is_file() and given_path.is_file() else None
    if not path.is_file():
        given = find_lesson(number).given

    def check(task: str, function: Callable[..., Any]) -> None:
        print(report(task, function, rows[task], given))

    return check


def visible_text(lesson: Lesson) -> str:
    """Return a lesson's visible cases and their expected results as JSON."""
    return json.dumps(
        {
            task.id: [
                {"name": case.name, **encode_case(case), "rtol": task.rtol,
                 "expected": encode(expected(lesson, task, case)), "returns": list(task.returns)}
                for case in task.cases
                if case.shown
            ]
            for task in lesson.tasks
        },
        indent=1,
    )  # fmt: skip


def _row(data: dict[str, Any]) -> Visible:
    case = decode_case(data, data["name"])
    return Visible(case, decode(data["expected"]), data["rtol"], tuple(data["returns"]))


def report(task: str, function: Callable[..., Any], rows: list[Visible], given: Any) -> str:
    """Return the verdict on a function's visible cases as text of one or two lines."""
    right = 0
    for row in rows:
        outcome = run_case(function, row.case, given)
        if outcome.kind == NOT_DONE:
            return f"task {task}: not done yet"
        if outcome.kind == VALUE:
            text = difference(row.expected, outcome.value, row.rtol, row.returns)
        else:
            text = f"{outcome.error}: {outcome.message}"
        if text:
            return f"task {task}, case {row.case.name!r}: {text}\n  called with {_call(row.case)}"
        right += 1
    return f"task {task}: all {right} visible cases are right"


def _call(case: Case) -> str:
    parts = [_argument(a) for a in case.args]
    return ", ".join(parts + [f"{k}={_argument(v)}" for k, v in case.options.items()])


def _argument(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 12:
        return f"an array of shape {value.shape}"
    return repr(value)
