"""Evidence for `minideeplab.diagnosis`: what a function gave in a case, and what is wrong."""

from __future__ import annotations

import ast
import functools
from typing import Any

import numpy as np

from minideeplab.diagnosis.evidence import Evidence, Fault, Raised, is_number, largest
from minideeplab.grading.compare import difference
from minideeplab.grading.model import Case, Lesson, Task
from minideeplab.grading.outcome import VALUE, Outcome

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
    names = argument_names(lesson, task, len(case.args))
    right, got = parts(task, expected, expected), parts(task, expected, outcome.value)
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
        if not faults and task.origin and outcome.origin != task.origin:
            text = f"the right numbers, but they do not come from {task.origin}"
            faults = [Fault("", "origin", text)]
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
    kind = message.partition(":")[0]
    if kind in CHECKER:
        first, *rest = message.split(";")
        shared = "shared " if "shared array" in first else ""
        advice = "below zero" if "below zero" in first else rest[0] if kind == "race" else ""
        message = f"{shared}{kind} {advice}:"
    return Raised(outcome.error or outcome.kind, message, outcome.place)


def parts(task: Task, expected: Any, value: Any) -> dict[str, Any]:
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


def argument_names(lesson: Lesson, task: Task, count: int) -> list[str]:
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
