"""Is a wrong answer the right one to other arguments? Then it treats an argument wrongly."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from minideeplab.grading.compare import difference
from minideeplab.grading.model import Lesson, Task
from minideeplab.grading.outcome import VALUE, run_case

if TYPE_CHECKING:
    from minideeplab.grading.hints import Evidence

Change = Callable[[Any], Any]

_ARRAYS: list[tuple[str, Change]] = [
    ("{} ran backwards along its last axis", lambda a: a[..., ::-1]),
    ("{} ran backwards along its last but one axis", lambda a: a[..., ::-1, :]),
    ("{} ran backwards along its last two axes", lambda a: a[..., ::-1, ::-1]),
    ("the last two axes of {} were swapped", lambda a: a.swapaxes(-1, -2)),
    ("the first two axes of {} were swapped", lambda a: a.swapaxes(0, 1)),
    ("the first axis of {} ran backwards", lambda a: a[::-1]),
    ("{} had the other sign", lambda a: -a),
    ("{} were zero", lambda a: 0 * a),
    ("{} were one everywhere", lambda a: 0 * a + 1),
]
_NUMBERS: list[tuple[str, Change]] = [
    ("{} were larger by one", lambda n: n + 1),
    ("{} were smaller by one", lambda n: n - 1),
    ("{} were doubled", lambda n: 2 * n),
    ("{} were halved", lambda n: n // 2 if isinstance(n, int) else n / 2),
    ("{} were always 1", lambda n: 1),
    ("{} were always 0", lambda n: 0),
    ("{} had the other sign", lambda n: -n),
    ("{} were inverted", lambda n: 1 / n),
]


def as_if(lesson: Lesson, task: Task, evidence: Sequence[Evidence]) -> str:
    """Return which change of one argument explains all results, "" if none does."""
    for position, name in enumerate(_names(lesson, task, len(evidence[0].case.args))):
        for text, change in _changes([e.case.args[position:][:1] for e in evidence]):
            if _explains_all(lesson, task, evidence, position, change):
                return f"the result is as if {text.format(name)}"
    return ""


def _changes(values: list[tuple[Any, ...]]) -> Iterator[tuple[str, Change]]:
    """Yield the changes that suit an argument, given its values in all the cases."""
    if all(v and isinstance(v[0], np.ndarray) for v in values):
        yield from _ARRAYS
    elif all(v and type(v[0]) in (int, float) for v in values):
        yield from _NUMBERS
    elif all(v and isinstance(v[0], (tuple, list)) and len(v[0]) == 2 for v in values):
        yield "the two of {} were swapped", lambda pair: type(pair)(pair[::-1])


def _explains_all(
    lesson: Lesson, task: Task, evidence: Sequence[Evidence], position: int, change: Change
) -> bool:
    """Tell whether no case speaks against a change, and most of the lost ones speak for it."""
    lost = [e for e in evidence if e.wrong]
    told = 0
    for e in (*lost, *(e for e in evidence if not e.wrong)):
        verdict = _explains(lesson, task, e, position, change)
        if verdict is False:
            return False
        told += bool(verdict and e.wrong)
    return 2 * told > len(lost)


def _explains(
    lesson: Lesson, task: Task, e: Evidence, position: int, change: Change
) -> bool | None:
    """Tell whether a case comes out as if an argument was changed; None where nothing comes out."""
    args = list(e.case.args)
    try:
        args[position] = change(args[position])
    except (ValueError, IndexError, ZeroDivisionError):  # too few axes, or nothing to invert
        return None
    other = run_case(task.reference, replace(e.case, args=tuple(args)), lesson.given)
    if VALUE not in (other.kind, e.outcome.kind) or other.kind != e.outcome.kind:
        return None
    return not difference(other.value, e.outcome.value, task.rtol, task.returns)


def _names(lesson: Lesson, task: Task, count: int) -> list[str]:
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
