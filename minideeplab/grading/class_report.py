"""A class's pass rates, commonest mistakes and written answers, as Markdown and an image."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from minideeplab.grading.build import MY_ANSWERS, read_solved
from minideeplab.grading.grade import Grade
from minideeplab.grading.judge import CRASH, NOT_DONE_YET, PASS, TIME_OUT, WRONG
from minideeplab.grading.model import Lesson, Task
from minideeplab.grading.source import Cell, split_cells

VERDICTS = {PASS: "#009E73", WRONG: "#E69F00", CRASH: "#D55E00", TIME_OUT: "#CC79A7",
            NOT_DONE_YET: "#BBBBBB"}  # fmt: skip
"""Verdicts in the order of the bars, with their colours."""

COMMONEST = 12
"""Mistakes of a lesson that are listed."""


def by_lesson(grades: Sequence[Grade]) -> dict[Lesson, list[Grade]]:
    """Return the grades with results of each lesson, in the order of the lessons."""
    found: dict[str, list[Grade]] = {}
    for grade in grades:
        if grade.lesson is not None and grade.results:
            found.setdefault(grade.lesson.number, []).append(grade)
    return {found[number][0].lesson: found[number] for number in sorted(found)}


def counts(grades: Sequence[Grade], task: Task) -> Counter[str]:
    """Return how often a task got each verdict."""
    return Counter(r.verdict for grade in grades for r in grade.results if r.task.id == task.id)


def mistakes(grades: Sequence[Grade]) -> Counter[tuple[str, str]]:
    """Return how often each (task, hint) was given; lines are left out, so that equal ones meet."""
    return Counter(
        (result.task.id, re.sub(r"^line \d+: |\bline \d+\b", "", result.hint).strip())
        for grade in grades for result in grade.results
        if result.verdict not in (PASS, NOT_DONE_YET) and not grade.submission.problem
    )  # fmt: skip


def class_markdown(grades: Sequence[Grade]) -> str:
    """Return the report on a class, without names: pass rates by task, commonest mistakes."""
    parts = ["# Class report"]
    for lesson, some in by_lesson(grades).items():
        mean = sum(grade.points for grade in some) / len(some)
        parts += [
            f"## Lesson {lesson.number} · {lesson.about.title}",
            f"{len(some)} submissions, {mean:.1f} of {lesson.points} points on average.",
            _rates(lesson, some),
        ]
        listed = mistakes(some).most_common(COMMONEST)
        if listed:
            rows = [f"| {n} | {task} | {text_cell(hint)} |" for (task, hint), n in listed]
            parts += ["\n".join(["| Times | Task | Mistake |", "|---|---|---|", *rows])]
    refused = [grade.submission.said for grade in grades if grade.submission.problem]
    if refused:
        parts += [f"## Not graded: {len(refused)}", "\n".join(f"- {text_cell(t)}" for t in refused)]
    return "\n\n".join(parts) + "\n"


def _rates(lesson: Lesson, grades: Sequence[Grade]) -> str:
    lines = [f"| Task | Function | Pass rate | {' | '.join(VERDICTS)} |",
             "|---" * (3 + len(VERDICTS)) + "|"]  # fmt: skip
    for task in lesson.tasks:
        found = counts(grades, task)
        numbers = " | ".join(str(found[verdict]) for verdict in VERDICTS)
        rate = f"{found[PASS] / max(1, found.total()):.0%}"
        lines.append(f"| {task.id} | `{task.function}` | {rate} | {numbers} |")
    return "\n".join(lines)


def text_cell(text: str) -> str:
    """Return a text that may be a student's for a Markdown table: no markup, no line ends."""
    one_line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return re.sub(r"([\\`*_|\[\]#~])", r"\\\1", html.escape(one_line, quote=False))


def draw_class(grades: Sequence[Grade], path: Path) -> None:
    """Save an image of each task's share of verdicts, one panel for each lesson."""
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = by_lesson(grades)
    tasks = sum(len(lesson.tasks) for lesson in groups)
    with matplotlib.style.context("minideeplab.visualize.lecture"):
        figure = Figure(figsize=(9, 1.2 * len(groups) + 0.5 * tasks), layout="constrained")
        FigureCanvasAgg(figure)
        heights = [len(lesson.tasks) for lesson in groups]
        axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
        for ax, (lesson, some) in zip(axes, groups.items(), strict=True):
            _draw_lesson(ax, lesson, some)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(VERDICTS))
        figure.savefig(path, format="png", dpi=120)


def _draw_lesson(ax, lesson: Lesson, grades: Sequence[Grade]) -> None:
    names = [f"{task.id} {task.function}" for task in lesson.tasks]
    found = [counts(grades, task) for task in lesson.tasks]
    start = [0.0] * len(found)
    for verdict, colour in VERDICTS.items():
        widths = [100 * one[verdict] / max(1, one.total()) for one in found]
        ax.barh(names, widths, left=start, color=colour, label=verdict)
        for row, (width, left) in enumerate(zip(widths, start, strict=True)):
            if width >= 6:
                ax.text(left + width / 2, row, f"{width:.0f}", ha="center", va="center")
        start = [a + b for a, b in zip(start, widths, strict=True)]
    ax.set(title=f"Lesson {lesson.number}, {len(grades)} submissions",
           xlabel="submissions (%)", xlim=(0, 100))  # fmt: skip
    ax.invert_yaxis()
    ax.grid(False)


# ---------------------------------------------------------------- written answers


def written_answers(cells: Sequence[Cell]) -> str:
    """Return what a student wrote below "My answers", "" if nothing."""
    texts: list[str] = []
    for cell in cells:
        if cell.kind == "markdown" and (cell.text.lstrip().startswith(MY_ANSWERS[0]) or texts):
            texts.append(cell.text)
        elif texts:
            break
    given = "\n\n".join(texts).strip()
    for line in MY_ANSWERS:
        given = given.replace(line, "")
    return given.strip()


def answers_markdown(grades: Sequence[Grade]) -> str:
    """Return a class's written answers to "Check yourself", by lesson; "" if there are none."""
    parts = []
    for lesson, some in by_lesson(grades).items():
        written = [(g.submission.name, written_answers(g.submission.cells)) for g in some]
        if not any(text for _, text in written):
            continue
        questions = [c.text for c in split_cells(read_solved(lesson)) if "Check yourself" in c.text]
        parts += [f"# Lesson {lesson.number} · {lesson.about.title}", *questions]
        for name, text in written:
            lines = [text_cell(line) for line in (text or "(nothing written)").splitlines()]
            parts += [f"## {text_cell(name)}", "\n".join(f"> {line}" for line in lines)]
    return "\n\n".join(parts) + "\n" if parts else ""
