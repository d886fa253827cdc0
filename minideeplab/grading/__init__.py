"""Lessons: their data, building them for students, and grading submissions.

Reading order: `model` (a task, its cases, a wrong answer), `outcome` (a function called on a
case), `compare` and `hints` (right or wrong, and the likely mistake), `judge` (a verdict), then
`source` and `build` (from a solved lesson to a student's), `worker`, `sandbox` and `process`
(untrusted code in a separate process).
The guide for authors and instructors is ``lessons/README.md``.

Names load on first use, since the process that runs a student's code imports this package, too.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minideeplab.grading.check import checker as checker
    from minideeplab.grading.model import About as About
    from minideeplab.grading.model import Case as Case
    from minideeplab.grading.model import Given as Given
    from minideeplab.grading.model import Task as Task
    from minideeplab.grading.model import wrong as wrong

_ATTRIBUTES = {
    "About": "model",
    "Case": "model",
    "Given": "model",
    "Task": "model",
    "checker": "check",
    "wrong": "model",
}

__all__ = sorted(_ATTRIBUTES)


def __getattr__(name: str) -> Any:
    if name in _ATTRIBUTES:
        return getattr(importlib.import_module(f"{__name__}.{_ATTRIBUTES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
