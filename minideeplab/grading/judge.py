"""From what a function gave on a task's cases to a verdict with a hint."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from minideeplab.grading.compare import difference
from minideeplab.grading.hints import Evidence, hint_for
from minideeplab.grading.model import Case, Lesson, Task, WrongAnswer
from minideeplab.grading.outcome import ERROR, MISSING, NOT_DONE, VALUE, Outcome, prepare, run_case

PASS, WRONG, NOT_DONE_YET, TIME_OUT, CRASH = "pass", "wrong", "not done", "time-out", "crash"


@dataclass(frozen=True)
class TaskResult:
    """The verdict on one task.

    Attributes:
        task: the task.
        verdict: PASS, WRONG, NOT_DONE_YET, TIME_OUT or CRASH.
        lost: names of the cases that did not come out right, in order.
        hint: the likely mistake, in words; "" for a pass.
        mistake: name of the known wrong answer that did the same, "" if none did.
    """

    task: Task
    verdict: str
    lost: tuple[str, ...] = ()
    hint: str = ""
    mistake: str = ""

    @property
    def points(self) -> int:
        """The task's points if it is solved, else 0."""
        return self.task.points if self.verdict == PASS else 0


@functools.lru_cache(maxsize=4096)
def expected(lesson: Lesson, task: Task, case: Case) -> Any:
    """Return the right result of a case, from the task's reference."""
    args, options = prepare(case.args, lesson.given), prepare(case.options, lesson.given)
    return task.reference(*args, **options)


def run_trusted(lesson: Lesson, task: Task, function: Callable[..., Any]) -> list[Outcome]:
    """Call a function of our own on all cases of a task, in this process and without limits."""
    return [run_case(function, case, lesson.given) for case in task.cases]


def judge(lesson: Lesson, task: Task, outcomes: Sequence[Outcome], stopped: str = "") -> TaskResult:
    """Return the verdict on a function, given what it gave on each of the task's cases.

    Args:
        lesson: where the task is from.
        task: the task.
        outcomes: one for each case; MISSING where the process ended before.
        stopped: TIME_OUT or CRASH if the process was stopped or ended early; then "reason" follows
            after a colon, such as "crash: the process ended with exit status 3".
    """
    evidence = collect(lesson, task, outcomes)
    lost = tuple(e.case.name for e in evidence if e.wrong)
    if not lost:
        return TaskResult(task, PASS)
    kinds = {e.outcome.kind for e in evidence if e.wrong}
    if NOT_DONE in kinds:
        text = next(e.outcome.message for e in evidence if e.outcome.kind == NOT_DONE)
        return TaskResult(task, NOT_DONE_YET, lost, text)
    if stopped:
        verdict, _, reason = stopped.partition(": ")
        return TaskResult(task, verdict, lost, reason)
    verdict = CRASH if kinds <= {ERROR, MISSING} else WRONG
    hint, mistake = hint_for(lesson, task, evidence, wrong_evidence(lesson, task))
    return TaskResult(task, verdict, lost, hint, mistake)


def collect(lesson: Lesson, task: Task, outcomes: Sequence[Outcome]) -> list[Evidence]:
    """Hold each outcome against the right result."""
    found = []
    for case, outcome in zip(task.cases, outcomes, strict=True):
        right = expected(lesson, task, case)
        if outcome.kind == VALUE:
            text = difference(right, outcome.value, task.rtol, task.returns)
        else:
            text = f"{outcome.error}: {outcome.message}".strip(": ") or outcome.kind
        found.append(Evidence(case, outcome, right, text))
    return found


@functools.lru_cache(maxsize=1024)
def wrong_evidence(lesson: Lesson, task: Task) -> list[tuple[WrongAnswer, list[Evidence]]]:
    """Return what every known wrong answer to a task gives; computed once for each lesson."""
    return [
        (answer, collect(lesson, task, run_trusted(lesson, task, answer.function)))
        for answer in lesson.wrong_answers(task)
    ]
