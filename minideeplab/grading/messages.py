"""Errors of a student's code without the words that it chose, which could hold hidden inputs."""

from __future__ import annotations

import builtins
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from minideeplab.grading.model import Lesson, Task
from minideeplab.grading.outcome import ERROR, NOT_DONE, Outcome
from minideeplab.grading.source import Cell

_ERRORS = {
    name for module in (builtins, np.exceptions, np.linalg)
    for name, member in vars(module).items()
    if isinstance(member, type) and issubclass(member, Exception | SystemExit)
}  # fmt: skip
_READ_ONLY = ("assignment destination is read-only", "output array is read-only")

_PLACE = r"(?:shared array \d{1,2}|local array|\w{1,30})\[-?\d{1,4}(?:, -?\d{1,4}){0,2}\]"
_WHO = r"thread \d{1,4} of block \d{1,4}"
_DOES = r"(?:reads|writes|updates atomically)"
_WAITS = r"(?:has ended|waits in line \d{1,4})"
_CHECKER = re.compile(
    rf"race: {_PLACE}(?: \(\d{{1,4}} elements in all\))?: (?:"
    rf"in epoch \d{{1,4}} of block \d{{1,4}}, thread \d{{1,4}} {_DOES} and thread \d{{1,4}} {_DOES}"
    rf"; a barrier or an atomic operation is missing"
    rf"|{_WHO} {_DOES} and {_WHO} {_DOES}; blocks run in any order, "
    r"only atomic operations are safe)"
    rf"|bounds: {_PLACE}, shape \([\d, ]{{1,16}}\): {_WHO} goes (?:below zero|beyond the end) "
    r"\((?:read|write|atomic)\)"
    rf"|bounds: {_PLACE}: \d indices for \d axes"
    rf"|barrier: block \d{{1,4}}: thread 0 {_WAITS}, thread \d{{1,4}} {_WAITS}; "
    r"all threads of a block must reach a barrier"
    rf"|uninitialised: {_PLACE}: {_WHO} reads memory that was not written"
)
"""The messages of the race checker, `minideeplab.testing.simt`."""


def bare(outcome: Outcome, lesson: Lesson, task: Task, cells: Sequence[Cell]) -> Outcome:
    """Return an outcome with the judge's own words only.

    Left are names of Python's and NumPy's errors, lines of the file, what the race checker found,
    and the text of the lesson's holes.
    """
    if outcome.kind not in (ERROR, NOT_DONE):
        return outcome
    last = max((cell.line + cell.text.count("\n") for cell in cells), default=0)
    if outcome.kind == NOT_DONE:
        known = _is_hole(outcome.message, lesson, task)
        return replace(outcome, message=outcome.message if known else "not done")
    words = {word for cell in cells for word in re.findall(r"\w+", cell.text)}
    message = own(outcome.message)
    if any(name not in words | {"0", "1", "array"} for name in re.findall(r"(\w+)\[", message)):
        message = ""
    error = outcome.error if outcome.error in _ERRORS or not outcome.error else "Exception"
    line = outcome.line if 0 < outcome.line <= last else 0
    cell = outcome.cell if 0 < outcome.cell <= len(cells) else 0
    return replace(outcome, error=error, message=message, line=line, cell=cell)


def own(message: str) -> str:
    """Return what the judge itself says in an error's message, "" if it says nothing."""
    said = _CHECKER.match(message)
    return said[0] if said else message if message in _READ_ONLY else ""


def _is_hole(message: str, lesson: Lesson, task: Task) -> bool:
    if message == f"the file has no function {task.function}":
        return True
    solved = (lesson.folder / "lesson.py").read_text(encoding="utf-8")
    return f"# solution {message.removeprefix('task ')}\n" in solved
