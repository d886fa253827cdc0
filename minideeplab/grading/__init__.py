"""Lessons: what they are made of, how they are built, and how answers to tasks are judged.

Reading order: `model` (a task, its cases, a wrong answer), `outcome` (calling a function on a
case), `compare` and `hints` (right or wrong, and why), `judge` (a verdict), then `source` and
`build` (a solved lesson becomes a student's), `worker` and `process` (untrusted code at arm's
length).
The guide for authors and instructors is ``lessons/README.md``.

Names load on first use: the process that runs a student's code imports this package, too.
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
