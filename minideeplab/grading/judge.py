"""From what a function gave on a task's cases to a verdict with a hint."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from minideeplab.diagnosis.evidence import Evidence
from minideeplab.diagnosis.known import Mistake
from minideeplab.grading.evidence import evidence_of
from minideeplab.grading.hints import hint_for, known_mistake
from minideeplab.grading.messages import own
from minideeplab.grading.model import Case, Lesson, Task
from minideeplab.grading.outcome import ERROR, MISSING, NOT_DONE, Outcome, prepare, run_case

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
    lost = tuple(row.name for row in evidence if row.faults)
    if not lost:
        return TaskResult(task, PASS)
    failed = [outcome for outcome, row in zip(outcomes, evidence, strict=True) if row.faults]
    kinds = {outcome.kind for outcome in failed}
    if NOT_DONE in kinds:
        text = next(outcome.message for outcome in failed if outcome.kind == NOT_DONE)
        return TaskResult(task, NOT_DONE_YET, lost, text)
    if stopped:
        verdict, _, reason = stopped.partition(": ")
        return TaskResult(task, verdict, lost, reason)
    verdict = CRASH if kinds <= {ERROR, MISSING} else WRONG
    hint, mistake = hint_for(lesson, task, evidence, known_mistakes(lesson, task))
    return TaskResult(task, verdict, lost, hint, mistake)


def collect(lesson: Lesson, task: Task, outcomes: Sequence[Outcome]) -> list[Evidence]:
    """Hold each outcome against the right result; errors in hidden cases keep no other's words."""
    return [
        evidence_of(
            lesson, task, case,
            outcome if case.shown or outcome.kind != ERROR
            else replace(outcome, message=own(outcome.message)),
            expected(lesson, task, case),
        )
        for case, outcome in zip(task.cases, outcomes, strict=True)
    ]  # fmt: skip


@functools.lru_cache(maxsize=1024)
def known_mistakes(lesson: Lesson, task: Task) -> list[Mistake]:
    """Return what every known wrong answer to a task gives; computed once for each lesson."""
    return [
        known_mistake(answer, collect(lesson, task, run_trusted(lesson, task, answer.function)))
        for answer in lesson.wrong_answers(task)
    ]
