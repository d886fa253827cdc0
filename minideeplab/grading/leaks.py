"""Find solutions, hidden cases and outputs in a build for students."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minideeplab.grading.judge import expected
from minideeplab.grading.model import Case, Lesson, Task
from minideeplab.grading.serialization import encode_case
from minideeplab.grading.source import has_output, read_notebook, solutions

TELLING = 16
"""Lines of a solution with fewer characters, blanks apart, are not reported."""

DIGITS = 8
"""Numbers with fewer digits are not reported: they occur by chance."""


def find_leaks(lesson: Lesson, solved: str, files: Mapping[str, str]) -> list[str]:
    """Return what a build for students leaks, in words.

    Args:
        lesson: that was built.
        solved: text of its lesson.py.
        files: text of each file for the student, by name.
    """
    return [
        *_solution_lines(solved, files),
        *_hidden_numbers(lesson, files),
        *_hidden_rows(lesson, files),
        *(
            f"{name} has outputs"
            for name, text in files.items()
            if name.endswith(".ipynb") and has_output(text)
        ),
    ]


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _readable(name: str, text: str) -> str:
    """Return what a reader sees of a file: a notebook's cells instead of its JSON."""
    if name.endswith(".ipynb"):
        return "\n".join(cell.text for cell in read_notebook(text)[0])
    return text


def _solution_lines(solved: str, files: Mapping[str, str]) -> Iterator[str]:
    squeezed = {name: _squeeze(_readable(name, text)) for name, text in files.items()}
    for task, body in solutions(solved).items():
        for line in body.splitlines():
            code = _squeeze(re.sub(r"\s#.*", "", line))
            for name, text in squeezed.items():
                if len(code) >= TELLING and code in text:
                    yield f"{name} has a line of solution {task}: {line.strip()}"


def _numbers(value: Any) -> Iterator[str]:
    """Yield the long numbers in a value, as JSON and repr write them."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, dict):
        yield from _numbers(list(value.values()))
    elif isinstance(value, (np.ndarray, np.generic, float)):
        for number in np.asarray(value).ravel().tolist():
            if isinstance(number, float) and len(re.sub(r"\D", "", repr(number))) >= DIGITS:
                yield repr(abs(number))


def _hidden_numbers(lesson: Lesson, files: Mapping[str, str]) -> Iterator[str]:
    for task, case, secret in secrets(lesson):
        for name, text in files.items():
            if secret & numbers_in(text):
                yield f"{name} has numbers of task {task.id}'s hidden case {case.name!r}"


def secrets(lesson: Lesson) -> Iterator[tuple[Task, Case, set[str]]]:
    """Yield each hidden case of a lesson with the long numbers that no visible case has."""
    rows = [(task, case) for task in lesson.tasks for case in task.cases]
    shown = {n for task, case in rows if case.shown for n in _all_numbers(lesson, task, case)}
    for task, case in rows:
        if not case.shown:
            yield task, case, set(_all_numbers(lesson, task, case)) - shown


@functools.lru_cache(maxsize=512)
def numbers_in(text: str) -> frozenset[str]:
    """Return the numbers with a decimal point that are written in a text."""
    return frozenset(re.findall(r"\d+\.\d+(?:e[+-]?\d+)?", text))


def _all_numbers(lesson: Lesson, task: Task, case: Case) -> Iterator[str]:
    yield from _numbers([case.args, case.options, expected(lesson, task, case)])


def _hidden_rows(lesson: Lesson, files: Mapping[str, str]) -> Iterator[str]:
    """Find hidden cases in the files of visible cases."""
    for name, text in files.items():
        if not name.endswith(".json"):
            continue
        rows = json.loads(text)
        for task in lesson.tasks:
            found = [{key: row[key] for key in ("args", "options")} for row in rows[task.id]]
            for case in task.cases:
                if not case.shown and json.loads(json.dumps(encode_case(case))) in found:
                    yield f"{name} has task {task.id}'s hidden case {case.name!r}"
