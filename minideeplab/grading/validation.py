"""Proofs that a lesson judges as it says, for its authors and for the tests.

Solved it gets all points; with its holes none, and every task is "not done"; with one task solved
exactly that task's points; every known wrong answer loses exactly the cases that it declares and
gets its hint; every case is lost by some wrong answer, so that none is there in vain; and a build
for students gives nothing away.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from minideeplab.grading.build import STUDENT, contents
from minideeplab.grading.judge import NOT_DONE_YET, PASS, TaskResult, judge, run_trusted
from minideeplab.grading.leaks import find_leaks
from minideeplab.grading.loading import load_definitions
from minideeplab.grading.model import ALL, Lesson, Task, WrongAnswer
from minideeplab.grading.source import fill_hole, punch_holes, solutions, split_cells


def prove(lesson: Lesson) -> list[str]:
    """Return what is wrong with a lesson, in words; nothing if all proofs hold."""
    text = read_solved(lesson)
    faults = list(_structure(lesson, text))
    if faults:
        return faults
    leaks = find_leaks(lesson, text, contents(lesson, STUDENT))
    faults += [f"a build for students leaks: {leak}" for leak in leaks]
    faults += _solved(lesson, text)
    faults += _skeleton(lesson, text)
    for task in lesson.tasks:
        faults += _solved_alone(lesson, task, text)
        faults += _wrong_answers(lesson, task)
    return faults


def read_solved(lesson: Lesson) -> str:
    """Return the text of a lesson's solved file."""
    return (lesson.folder / "lesson.py").read_text(encoding="utf-8")


def judge_text(lesson: Lesson, text: str) -> list[TaskResult]:
    """Judge a trusted lesson's text in this process, without limits."""
    names, complaints = load_definitions(split_cells(text), "lesson.py", lesson.given)
    if complaints:
        raise ValueError(f"{lesson.name}: {'; '.join(complaints)}")
    return [
        judge(lesson, task, run_trusted(lesson, task, names[task.function]))
        for task in lesson.tasks
    ]


def judge_wrong(lesson: Lesson, answer: WrongAnswer) -> TaskResult:
    """Judge a known wrong answer."""
    task = lesson.task(answer.task)
    return judge(lesson, task, run_trusted(lesson, task, answer.function))


def _structure(lesson: Lesson, text: str) -> Iterator[str]:
    """Every task is one function with one solution in it that uses no other task's function."""
    tree = ast.parse(text)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    solved = solutions(text)
    for task in lesson.tasks:
        node = functions.get(task.function)
        if node is None or ast.get_docstring(node) is None:
            yield f"task {task.id}: lesson.py has no function {task.function} with a docstring"
            continue
        body = ast.get_source_segment(text, node) or ""
        if task.id not in solved or f"# solution {task.id}:" not in body:
            yield f"task {task.id}: no '# solution {task.id}: ...' inside {task.function}"
            continue
        others = {other.function for other in lesson.tasks if other is not task}
        for name in sorted(others & {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}):
            yield f"task {task.id}: {task.function} uses {name}, another task's function"
    for extra in solved.keys() - {task.id for task in lesson.tasks}:
        yield f"task {extra}: has a solution in lesson.py, but no cases"


def _verdicts(results: list[TaskResult]) -> dict[str, Any]:
    return {result.task.id: result.verdict for result in results}


def _solved(lesson: Lesson, text: str) -> list[str]:
    return [
        f"task {result.task.id}: the solution is judged {result.verdict}: {result.hint}"
        for result in judge_text(lesson, text)
        if result.verdict != PASS
    ]


def _skeleton(lesson: Lesson, text: str) -> list[str]:
    verdicts = _verdicts(judge_text(lesson, punch_holes(text)))
    return [
        f"task {task}: its hole is judged {verdict}"
        for task, verdict in verdicts.items()
        if verdict != NOT_DONE_YET
    ]


def _solved_alone(lesson: Lesson, task: Task, text: str) -> list[str]:
    verdicts = _verdicts(judge_text(lesson, fill_hole(text, task.id)))
    wanted = {other.id: PASS if other is task else NOT_DONE_YET for other in lesson.tasks}
    return [] if verdicts == wanted else [f"task {task.id}: solved alone, it gives {verdicts}"]


def _wrong_answers(lesson: Lesson, task: Task) -> Iterator[str]:
    """Each loses what it declares and gets its hint; together they lose every case."""
    all_cases = tuple(case.name for case in task.cases)
    lost_by_some: set[str] = set()
    for answer in lesson.wrong_answers(task):
        result = judge_wrong(lesson, answer)
        lost_by_some |= set(result.lost)
        declared = all_cases if answer.loses == ALL else answer.loses
        if set(result.lost) != set(declared):
            yield (f"task {task.id}: {answer.name} loses {list(result.lost)}, "
                   f"declares {list(declared)}")  # fmt: skip
        if result.hint != answer.hint:
            yield f"task {task.id}: {answer.name} gets the hint {result.hint!r}"
    for name in all_cases:
        if name not in lost_by_some:
            yield f"task {task.id}: no wrong answer loses the case {name!r}"
