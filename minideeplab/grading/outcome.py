"""Call a function on a case: the result is a value, an error, or a missing answer."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.grading.model import Case, Given

VALUE, ERROR, NOT_DONE, MISSING = "value", "error", "not done", "missing"


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
    """

    kind: str
    value: Any = None
    error: str = ""
    message: str = ""
    line: int = 0


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
    try:
        with np.errstate(all="ignore"):
            return Outcome(VALUE, function(*args, **options))
    except NotImplementedError as error:
        return Outcome(NOT_DONE, message=str(error)[:300])
    except BaseException as error:  # SystemExit, too: it must not end the grading
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
        name = type(error).__name__
        return Outcome(ERROR, error=name, message=str(error)[:300], line=(lines or [0])[-1] or 0)


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
