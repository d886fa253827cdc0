"""Grade submissions: each task in a separate process, several processes at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from minideeplab.grading.catalogue import find_lesson
from minideeplab.grading.judge import CRASH, NOT_DONE_YET, TaskResult, judge
from minideeplab.grading.model import Lesson, Task
from minideeplab.grading.private import with_private_cases
from minideeplab.grading.process import MEMORY, run_apart
from minideeplab.grading.submissions import Submission, choose, find_submissions


@dataclass(frozen=True)
class Limits:
    """Limits of a task's process: MiB, and seconds of processor (None: the task's own)."""

    memory: int = MEMORY
    seconds: float | None = None


@dataclass(frozen=True)
class Grade:
    """A submission's results; without lesson and results if nothing was submitted."""

    submission: Submission
    lesson: Lesson | None
    results: tuple[TaskResult, ...]

    @property
    def points(self) -> int:
        """Points of the solved tasks."""
        return sum(result.points for result in self.results)

    @property
    def out_of(self) -> int:
        """Points of all the lesson's tasks."""
        return self.lesson.points if self.lesson else 0


def grade(
    path: Path,
    lessons: Path | None = None,
    default: str = "",
    jobs: int = 1,
    limits: Limits | None = None,
    progress: Callable[[Submission], None] = lambda submission: None,
    only: str = "",
    single: bool = False,
    seed: str = "",
    each: bool = False,
) -> list[Grade]:
    """Return the grades of a submission, or of a folder of them.

    What cannot be graded gets no points, and its ``submission.problem`` says why.

    Args:
        path: a file, a student's folder, or a folder of such.
        lessons: the folder of lessons; None searches for it.
        default: lesson of the submissions that do not name theirs.
        jobs: number of processes at a time.
        limits: of each process.
        progress: called with each graded submission.
        only: the lesson to grade; files of others get no points. It is also the default.
        single: everything in the folder is one student's.
        seed: draws private cases; see `with_private_cases`.
        each: other private cases for each student.

    Raises:
        ValueError: there is no submission, or ``default`` or ``only`` is no lesson.
    """
    loaded: dict[str, Lesson] = {}
    for name in filter(None, (only, default)):
        lesson = find_lesson(name, lessons)
        loaded[lesson.number] = lesson
    numbers = list(loaded)
    only, default = (numbers[0] if only else ""), (numbers[-1] if numbers else "")
    groups = find_submissions(path, single)
    chosen = [_choose(group, loaded, lessons, default, only) for group in groups]
    if only:
        chosen = _without_others(chosen)
    sole = next(iter(loaded.values())) if len(loaded) == 1 else None  # for empty submissions
    chosen = [(one, lesson or sole) for one, lesson in chosen]
    private = functools.cache(with_private_cases)
    chosen = [
        (one, lesson and private(lesson, seed, one.name if each else "")) for one, lesson in chosen
    ]
    return _grade_all(chosen, jobs, limits or Limits(), progress)


def _choose(
    candidates: list[Submission], loaded: dict[str, Lesson], lessons: Path | None,
    default: str, only: str,
) -> tuple[Submission, Lesson | None]:  # fmt: skip
    """Return the candidate that counts, and its lesson, None if that is not known."""
    one = choose(candidates)
    name = one.lesson or default
    if not one.file:
        return one, loaded.get(name)
    problem = ""
    if only and name != only:
        problem = f"{one.file} is of lesson {name}, expected lesson {only}"
        name = only
    elif not name:
        problem = f"{one.file} does not name its lesson; use --only NN or --lesson NN"
    elif name not in loaded:
        try:
            loaded[name] = find_lesson(name, lessons)
        except ValueError as error:
            problem = f"{one.file}: {error}"
    return replace(one, problem=one.problem or problem), loaded.get(name)


def _without_others(
    chosen: list[tuple[Submission, Lesson | None]],
) -> list[tuple[Submission, Lesson | None]]:
    """Keep one row for each student, that of the lesson if there is one."""
    rows: dict[str, list[tuple[Submission, Lesson | None]]] = {}
    for one, lesson in chosen:
        rows.setdefault(one.name, []).append((one, lesson))
    kept = []
    for row in rows.values():
        one, lesson = min(row, key=lambda pair: bool(pair[0].problem))
        others = ", ".join(other.file for other, _ in row if other is not one)
        kept.append((replace(one, remark=f"also there: {others}" if others else ""), lesson))
    return kept


def _grade_all(
    chosen: Sequence[tuple[Submission, Lesson | None]],
    jobs: int,
    limits: Limits,
    progress: Callable[[Submission], None],
) -> list[Grade]:
    grades = []
    with ThreadPoolExecutor(jobs) as pool:
        running = [
            [pool.submit(grade_task, one, lesson, task, limits)
             for task in (lesson.tasks if lesson else ())]
            for one, lesson in chosen
        ]  # fmt: skip
        for (one, lesson), futures in zip(chosen, running, strict=True):
            grades.append(Grade(one, lesson, tuple(future.result() for future in futures)))
            progress(one)
    return grades


def grade_task(one: Submission, lesson: Lesson, task: Task, limits: Limits) -> TaskResult:
    """Return the verdict on one task of a submission."""
    every = tuple(case.name for case in task.cases)
    if one.problem:
        verdict = CRASH if one.file else NOT_DONE_YET
        text = one.problem if one.problem.startswith(one.file) else f"{one.file}: {one.problem}"
        return TaskResult(task, verdict, every, text)
    try:
        outcomes, stopped = run_apart(
            lesson, task, one.cells, one.file, limits.memory, limits.seconds
        )
        return judge(lesson, task, outcomes, stopped)
    except Exception as error:  # a fault of ours, which must not stop the class
        text = f"the grader failed, judge by hand: {type(error).__name__}: {error}"
        return TaskResult(task, CRASH, every, text)
