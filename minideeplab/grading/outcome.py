"""Call a function on a case: the result is a value, an error, or a missing answer."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.grading.model import Case, Given

VALUE, ERROR, NOT_DONE, MISSING = "value", "error", "not done", "missing"

CELL = " cell "
"""Between a notebook's name and a cell's number, in the file names of its compiled code."""


@dataclass(frozen=True)
class Outcome:
    """The result of calling a function on a case.

    Attributes:
        kind: VALUE; ERROR if it raised; NOT_DONE if the hole is not filled; MISSING if the
            process ended before.
        value: the result, for VALUE.
        error: the name of the exception's type.
        message: its text.
        line: where in the student's file it was raised, 0 if unknown.
        cell: in a notebook, the code cell that the line is counted in.
        origin: what ``given.origin`` said the value comes from, such as "a kernel".
    """

    kind: str
    value: Any = None
    error: str = ""
    message: str = ""
    line: int = 0
    cell: int = 0
    origin: str = ""

    @property
    def place(self) -> str:
        """The line in words, such as "line 12" or "cell 3, line 12"; "" if it is unknown."""
        return f"{cell_name(self.cell)}line {self.line}" if self.line else ""


def cell_name(cell: int) -> str:
    """Return "cell 3, " for a notebook's third code cell, "" for 0, which is a file."""
    return f"cell {cell}, " if cell else ""


def run_case(function: Callable[..., Any], case: Case, given: Any, file: str = "") -> Outcome:
    """Return the outcome of a function on read-only copies of a case's arguments.

    Args:
        function: the task's.
        case: what to call it with.
        given: the module in which `Given` names are looked up.
        file: name of the file in which to look for the line of an error.
    """
    args = prepare(case.args, given)
    options = prepare(case.options, given)
    origin = getattr(given, "origin", lambda value, arguments: "")
    try:
        with np.errstate(all="ignore"):
            value = function(*args, **options)
        return Outcome(VALUE, value, origin=str(origin(value, args)))
    except NotImplementedError as error:
        return Outcome(NOT_DONE, message=str(error)[:300])
    except BaseException as error:  # SystemExit, too: it must not end the grading
        line, cell = _line_in(file, error)
        name = type(error).__name__
        return Outcome(ERROR, error=name, message=str(error)[:300], line=line, cell=cell)


def _line_in(file: str, error: BaseException) -> tuple[int, int]:
    """Return the innermost line of a file in a traceback, and its cell in a notebook."""
    line, cell = 0, 0
    for frame in traceback.extract_tb(error.__traceback__) if file else ():
        name, _, number = frame.filename.partition(CELL)
        if name == file:
            line, cell = frame.lineno or 0, int(number or 0)
    return line, cell


def prepare(value: Any, given: Any) -> Any:
    """Copy an argument for one call: arrays read-only, `Given` names replaced by functions."""
    if isinstance(value, np.ndarray):
        copy = value.copy()
        copy.flags.writeable = False
        return copy
    if isinstance(value, (list, tuple)):
        return type(value)(prepare(item, given) for item in value)
    if isinstance(value, dict):
        return {key: prepare(item, given) for key, item in value.items()}
    return getattr(given, value.name) if isinstance(value, Given) else value
