"""Grade submissions: each task in a separate process, several processes at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from minideeplab.grading.catalogue import find_lesson
from minideeplab.grading.judge import CRASH, NOT_DONE_YET, TaskResult, judge
from minideeplab.grading.model import Lesson, Task
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
) -> list[Grade]:
    """Return the grades of a submission, or of a folder of them.

    Args:
        path: a file, a student's folder, or a folder of such.
        lessons: the folder of lessons; None searches for it.
        default: lesson of the submissions that do not name theirs.
        jobs: number of processes at a time.
        limits: of each process.
        progress: called with each graded submission.

    Raises:
        ValueError: there is no submission, or its lesson is unknown.
    """
    loaded: dict[str, Lesson] = {}
    default = find_lesson(default, lessons).number if default else ""
    chosen = []
    for candidates in find_submissions(path):
        first = candidates[0]
        name = first.lesson or default
        if not name and first.file:
            raise ValueError(f"{first.name}/{first.file}: which lesson is it of? say --lesson NN")
        if name and name not in loaded:
            loaded[name] = find_lesson(name, lessons)
        chosen.append((choose(candidates), loaded.get(name)))
    only = next(iter(loaded.values())) if len(loaded) == 1 else None  # for empty submissions
    chosen = [(one, lesson or only) for one, lesson in chosen]
    return _grade_all(chosen, jobs, limits or Limits(), progress)


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
        return TaskResult(task, verdict, every, f"{one.file}: {one.problem}".removeprefix(": "))
    outcomes, stopped = run_apart(lesson, task, one.cells, one.file, limits.memory, limits.seconds)
    return judge(lesson, task, outcomes, stopped)
