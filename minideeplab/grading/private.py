"""Hidden cases of a course's own: from a lesson's private.py, and drawn from a seed.

A seed, which the course keeps to itself, adds one more hidden case for each case with random
arrays: the same arguments with the entries of these arrays in another order. A drawn case on which
the lesson's own solution and reference disagree is dropped, since its inputs broke an assumption.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minideeplab.grading.build import read_solved
from minideeplab.grading.catalogue import load_module
from minideeplab.grading.compare import difference
from minideeplab.grading.loading import importable, load_definitions
from minideeplab.grading.model import Case, Lesson, Task
from minideeplab.grading.outcome import VALUE, run_case
from minideeplab.grading.source import split_cells

FILE = "private.py"
"""In a lesson's folder, with ``cases(rng)``, which returns cases by task: {"2.1": [Case(...)]}."""


def with_private_cases(lesson: Lesson, seed: str = "", student: str = "") -> Lesson:
    """Return a lesson with the course's own hidden cases added.

    Args:
        lesson: any.
        seed: with one, cases are drawn besides those of ``private.py``.
        student: part of the seed, for cases of a student's own.

    Raises:
        ValueError: ``private.py`` names a task that is not there.
    """
    path = lesson.folder / FILE
    if not seed and not path.is_file():
        return lesson
    rng = np.random.default_rng(zlib.crc32(f"{seed}/{student}".encode("utf-8", "replace")))
    own: dict[str, Sequence[Case]] = {}
    if path.is_file():
        with importable(lesson.given):
            own = load_module(path).cases(rng)
    for task_id in own:
        lesson.task(task_id)
    solved = load_definitions(split_cells(read_solved(lesson)), FILE, lesson.given)[0]
    tasks = []
    for task in lesson.tasks:
        more = [replace(case, shown=False) for case in own.get(task.id, ())]
        if seed:
            more += _drawn(lesson, task, solved[task.function], rng)
        tasks.append(replace(task, cases=(*task.cases, *more)))
    return replace(lesson, tasks=tuple(tasks))


def _drawn(lesson: Lesson, task: Task, solution: Any, rng: np.random.Generator) -> list[Case]:
    """Return a private case for each case with a random array, those that are sound."""
    found = []
    for case in task.cases:
        args = tuple(_shuffled(value, rng) for value in case.args)
        if all(new is old for new, old in zip(args, case.args, strict=True)):
            continue
        drawn = replace(case, name=f"{case.name}, private", args=args, shown=False)
        right, got = (run_case(f, drawn, lesson.given) for f in (task.reference, solution))
        if right.kind == got.kind == VALUE and not difference(right.value, got.value, task.rtol):
            found.append(drawn)
    return found


def _shuffled(value: Any, rng: np.random.Generator) -> Any:
    """Return a random array's entries in another order; other values as they are."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or value.size < 4:
        return value
    flat = value.ravel()
    steps = np.diff(flat)
    random = np.isfinite(flat).all() and np.unique(flat).size == flat.size
    if not random or np.all(steps > 0) or np.all(steps < 0):
        return value
    return rng.permutation(flat).reshape(value.shape)
