"""The README that goes with a built lesson, and the table of the course."""

from __future__ import annotations

from collections.abc import Sequence

from minideeplab.grading.model import ALL, Lesson


def readme(lesson: Lesson, reader: str) -> str:
    """Return a README in Markdown for "student", "self-study" or "instructor"."""
    about, number = lesson.about, lesson.number
    needs = ", ".join(about.needs) or "nothing but NumPy and a little calculus"
    parts = [
        f"# Lesson {int(number)} · {about.title}\n",
        f"About {about.minutes} minutes; needs lesson {needs}; paper: {about.paper}.\n"
        if about.needs
        else f"About {about.minutes} minutes; needs {needs}; paper: {about.paper}.\n",
        _instructor(lesson) if reader == "instructor" else _work(lesson, reader),
        _tasks(lesson, hidden=reader != "student"),
    ]
    return "\n".join(parts)


def _work(lesson: Lesson, reader: str) -> str:
    number = lesson.number
    steps = [
        f"1. Open `lesson_{number}.ipynb` in Jupyter, or `lesson_{number}.py` in an editor; use "
        "one of the two.",
        "2. Fill in each hole, in place of `raise NotImplementedError(...)`, with NumPy and "
        "Python's own modules.",
        f"3. Run the cell: `check` tries the visible cases, which are in `visible_{number}.json`.",
        "4. `minideeplab lesson grade .` in this folder gives verdicts, points and hints. Hidden "
        "cases count, too: a task has its points when all its cases are right.",
    ]
    if reader == "self-study":
        steps.append(f"5. Compare with `solution_{number}.py` when you are done, or stuck.")
    return "\n".join(steps) + "\n"


def _instructor(lesson: Lesson) -> str:
    rows = [
        f"| {answer.task} | `{answer.name}` | "
        f"{'all' if answer.loses == ALL else '; '.join(answer.loses)} | {answer.hint} |"
        for task in lesson.tasks
        for answer in lesson.wrong_answers(task)
    ]
    return "\n".join(
        [
            f"`lesson_{lesson.number}.py` is solved, `cases.py` has the cases and `wrong/` the "
            "known wrong answers. Do not hand this folder out.\n",
            "| Task | Known wrong answer | Cases lost | Hint |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _tasks(lesson: Lesson, hidden: bool) -> str:
    """Return the table of tasks; hidden cases are counted, and named if ``hidden``."""
    lines = ["| Task | Function | Points | Visible cases | Hidden |", "|---|---|---|---|---|"]
    for task in lesson.tasks:
        shown = [case.name for case in task.cases if case.shown]
        others = [case.name for case in task.cases if not case.shown]
        lines.append(
            f"| {task.id} | `{task.function}` | {task.points} | {'; '.join(shown)} | "
            f"{'; '.join(others) if hidden else len(others)} |"
        )
    return "\n".join([*lines, f"| | | {lesson.points} | | |", ""])


def course_table(lessons: Sequence[Lesson]) -> str:
    """Return the table of lessons in Markdown, as lessons/README.md has it."""
    lines = [
        "| | Lesson | Minutes | Needs | Tasks | Points | Paper, section |",
        "|---|---|---|---|---|---|---|",
    ]
    for lesson in lessons:
        about = lesson.about
        lines.append(
            f"| {lesson.number} | [{about.title}]({lesson.name}/lesson.py) | {about.minutes} | "
            f"{', '.join(about.needs) or 'NumPy'} | {len(lesson.tasks)} | {lesson.points} | "
            f"{about.paper} |"
        )
    return "\n".join(lines)
