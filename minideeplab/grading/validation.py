"""Validation of a lesson, for authors and tests: does it judge as it declares?

The solved lesson gets all points. With its holes it gets none, and every task is "not done"; with
one task solved, exactly that task's points. Every known wrong answer loses exactly the cases that
it declares and gets its hint. Every case is lost by some wrong answer. A build for students leaks
no solution and no hidden case.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from minideeplab.grading.build import STUDENT, contents, read_solved
from minideeplab.grading.judge import NOT_DONE_YET, PASS, TaskResult, judge, run_trusted
from minideeplab.grading.leaks import find_leaks
from minideeplab.grading.loading import load_definitions
from minideeplab.grading.model import ALL, Lesson, Task, WrongAnswer
from minideeplab.grading.source import punch_holes, solutions, split_cells


def validate(lesson: Lesson) -> list[str]:
    """Return a lesson's faults in words; an empty list if it is valid."""
    text = read_solved(lesson)
    faults = list(_structure(lesson, text))
    if faults:
        return faults
    leaks = find_leaks(lesson, text, contents(lesson, STUDENT))
    faults += [f"a build for students leaks: {leak}" for leak in leaks]
    faults += [
        f"task {result.task.id}: the solution is judged {result.verdict}: {result.hint}"
        for result in judge_text(lesson, text)
        if result.verdict != PASS
    ]
    faults += [
        f"task {result.task.id}: its hole is judged {result.verdict}"
        for result in judge_text(lesson, punch_holes(text))
        if result.verdict != NOT_DONE_YET
    ]
    for task in lesson.tasks:
        faults += _solved_alone(lesson, task, text)
        faults += _wrong_answers(lesson, task)
    return faults


def judge_text(lesson: Lesson, text: str) -> list[TaskResult]:
    """Return the verdicts on a trusted lesson's text, run in this process without limits."""
    names, complaints = load_definitions(split_cells(text), "lesson.py", lesson.given)
    if complaints:
        raise ValueError(f"{lesson.name}: {'; '.join(complaints)}")
    return [
        judge(lesson, task, run_trusted(lesson, task, names[task.function]))
        for task in lesson.tasks
    ]


def judge_wrong(lesson: Lesson, answer: WrongAnswer) -> TaskResult:
    """Return the verdict on a known wrong answer."""
    task = lesson.task(answer.task)
    return judge(lesson, task, run_trusted(lesson, task, answer.function))


def _structure(lesson: Lesson, text: str) -> Iterator[str]:
    """Check that each task is one function with one solution, independent of other tasks."""
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
        points = f"{task.points} point{'s' if task.points > 1 else ''}"
        if not re.search(rf"^# #+ Task {task.id} · .*\({points}\)$", text, re.MULTILINE):
            yield f"task {task.id}: no heading '### Task {task.id} · ... ({points})' in lesson.py"
        others = {other.function for other in lesson.tasks if other is not task}
        for name in sorted(others & {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}):
            yield f"task {task.id}: {task.function} uses {name}, another task's function"
    for extra in solved.keys() - {task.id for task in lesson.tasks}:
        yield f"task {extra}: has a solution in lesson.py, but no cases"


def _solved_alone(lesson: Lesson, task: Task, text: str) -> list[str]:
    results = judge_text(lesson, punch_holes(text, keep=task.id))
    verdicts = {result.task.id: result.verdict for result in results}
    wanted = {other.id: PASS if other is task else NOT_DONE_YET for other in lesson.tasks}
    return [] if verdicts == wanted else [f"task {task.id}: solved alone, it gives {verdicts}"]


def _wrong_answers(lesson: Lesson, task: Task) -> Iterator[str]:
    """Check the declared losses and hints, and that every case is lost by some wrong answer."""
    unlost = [case.name for case in task.cases]
    all_cases = tuple(unlost)
    for answer in lesson.wrong_answers(task):
        result = judge_wrong(lesson, answer)
        unlost = [name for name in unlost if name not in result.lost]
        declared = all_cases if answer.loses == ALL else answer.loses
        if set(result.lost) != set(declared):
            yield (f"task {task.id}: {answer.name} loses {list(result.lost)}, "
                   f"declares {list(declared)}")  # fmt: skip
        if result.hint != answer.hint:
            yield f"task {task.id}: {answer.name} gets the hint {result.hint!r}"
    for name in unlost:
        yield f"task {task.id}: no wrong answer loses the case {name!r}"
