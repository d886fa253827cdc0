"""``check("2.1", function)``: run the visible cases inside a lesson's notebook or file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.grading.catalogue import find_lesson, load_module
from minideeplab.grading.compare import difference
from minideeplab.grading.judge import expected
from minideeplab.grading.model import Case, Lesson
from minideeplab.grading.outcome import NOT_DONE, VALUE, run_case
from minideeplab.grading.serialization import decode, decode_case, encode, encode_case


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
        text = path.read_text()
        if given_path.is_file():
            given = load_module(given_path.resolve())
    rows = json.loads(text)

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


def report(task: str, function: Callable[..., Any], rows: list[dict[str, Any]], given: Any) -> str:
    """Return the verdict on a function as text of one or two lines.

    Args:
        task: its id.
        function: the student's.
        rows: the visible cases, as `visible_text` encodes them.
        given: the module of the lesson's given functions.
    """
    for row in rows:
        case = decode_case(row, row["name"])
        outcome = run_case(function, case, given)
        if outcome.kind == NOT_DONE:
            return f"task {task}: not done yet"
        text = f"{outcome.error}: {outcome.message}"
        if outcome.kind == VALUE:
            right = decode(row["expected"])
            text = difference(right, outcome.value, row["rtol"], tuple(row["returns"]))
        if text:
            return f"task {task}, case {case.name!r}: {text}\n  called with {_call(case)}"
    return f"task {task}: all {len(rows)} visible cases are right"


def _call(case: Case) -> str:
    parts = [_argument(a) for a in case.args]
    return ", ".join(parts + [f"{k}={_argument(v)}" for k, v in case.options.items()])


def _argument(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 12:
        return f"an array of shape {value.shape}"
    return repr(value)
