"""Write grades as a table, score.json, CSV for a class, and Gradescope's results.json."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minideeplab.grading.class_report import answers_markdown, class_markdown, draw_class
from minideeplab.grading.grade import Grade
from minideeplab.grading.judge import PASS, TaskResult
from minideeplab.grading.submissions import GRADES
from minideeplab.io import atomic_write


def plain(text: str) -> str:
    """Return a student's text as one line without control characters."""
    shown = (" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    return " ".join("".join(shown).split())


def table(grade: Grade) -> str:
    """Return one submission's tasks, points, verdicts and hints as text."""
    lesson = grade.lesson
    head = f"{plain(grade.submission.name)}: {plain(grade.submission.file)}"
    if lesson is None:
        return f"{plain(grade.submission.name)}: {plain(grade.submission.said)}\n"
    rows = [("task", "points", "verdict", "hint")]
    rows += [
        (result.task.id, f"{result.points}/{result.task.points}", result.verdict,
         plain(result.hint))
        for result in grade.results
    ]  # fmt: skip
    rows.append(("", f"{grade.points}/{grade.out_of}", "", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join(f"{cell:{w}}" for cell, w in zip(row, [*widths, 0], strict=True)).rstrip()
             for row in rows]  # fmt: skip
    return "\n".join([f"{head}, lesson {lesson.number} · {lesson.about.title}", *lines, ""])


def class_table(grades: Sequence[Grade]) -> str:
    """Return one line for each submission: points and verdicts."""
    names = [plain(grade.submission.name) for grade in grades]
    width = max(len(name) for name in names)
    lines = []
    for name, grade in zip(names, grades, strict=True):
        verdicts = "  ".join(f"{r.task.id} {r.verdict}" for r in grade.results)
        lines.append(
            f"{name:{width}}  {grade.lesson.number if grade.lesson else '--'}  "
            f"{grade.points:3}/{grade.out_of:<3}  {verdicts or plain(grade.submission.said)}"
        )
    return "\n".join(lines) + "\n"


def score(grade: Grade) -> dict[str, Any]:
    """Return one submission's grade as plain data, for score.json."""
    return {
        "submission": plain(grade.submission.name),
        "file": plain(grade.submission.file),
        "lesson": grade.lesson.name if grade.lesson else None,
        "points": grade.points,
        "out_of": grade.out_of,
        "problem": plain(grade.submission.said),
        "tasks": [_task(result) for result in grade.results],
    }


def _task(result: TaskResult) -> dict[str, Any]:
    return {
        "task": result.task.id,
        "function": result.task.function,
        "points": result.points,
        "out_of": result.task.points,
        "verdict": result.verdict,
        "hint": plain(result.hint),
        "mistake": result.mistake,
        "lost": list(result.lost),
    }


def gradescope(grade: Grade) -> dict[str, Any]:
    """Return one submission's grade as Gradescope's autograder reads it (results.json)."""
    return {
        "score": grade.points,
        "output": plain(grade.submission.said),
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [
            {
                "number": result.task.id,
                "name": f"{result.task.id} {result.task.function}",
                "score": result.points,
                "max_score": result.task.points,
                "status": "passed" if result.verdict == PASS else "failed",
                "output": plain(f"{result.verdict}: {result.hint}".removesuffix(": ")),
            }
            for result in grade.results
        ],
    }


def class_csv(grades: Sequence[Grade]) -> str:
    """Return a class as CSV: one row for each submission, points for each task."""
    tasks = sorted(
        {result.task.id for grade in grades for result in grade.results},
        key=lambda task: tuple(map(int, task.split("."))),
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["submission", "lesson", "file", "points", "out of", *tasks, "remark"])
    for grade in grades:
        points = {result.task.id: result.points for result in grade.results}
        one = grade.submission
        writer.writerow(
            [_cell(one.name), grade.lesson.number if grade.lesson else "", _cell(one.file),
             grade.points, grade.out_of, *(points.get(task, "") for task in tasks),
             _cell(one.said)]
        )  # fmt: skip
    return text.getvalue()


def _cell(text: str) -> str:
    """Return text quoted so that no spreadsheet takes it for a formula."""
    text = plain(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def write_reports(
    grades: Sequence[Grade], path: Path, out: Path | None = None, single: bool = False
) -> list[Path]:
    """Write score.json and results.json, and for a class grades.csv and a folder each.

    Args:
        grades: of `grade`.
        path: that was graded.
        out: folder to write into; by default the submission's own, or "grades" in the class'.
        single: the grades are of one student.

    Returns:
        The files: for a class grades.csv, class.md and others first.
    """
    home = path if path.is_dir() else path.parent
    names = (path.resolve().name, path.stem)
    one = len(grades) == 1 and (single or grades[0].submission.name in names)
    out = out if out is not None else (home if one else home / GRADES)
    written = []
    if not one:
        written.append(_write(out / "grades.csv", class_csv(grades)))
        written += _write_class(grades, out)
    several = len({g.submission.name for g in grades}) < len(grades)
    taken: set[Path] = set()
    for grade in grades:
        folder = out if one else out / folder_name(grade.submission.name)
        if several and grade.lesson is not None:
            folder = folder / grade.lesson.name
        while folder in taken:
            folder = folder.with_name(folder.name + "+")
        taken.add(folder)
        for name, data in (("score.json", score(grade)), ("results.json", gradescope(grade))):
            written.append(_write(folder / name, json.dumps(data, indent=1, ensure_ascii=False)))
    return written


def folder_name(name: str) -> str:
    """Return a student's name as the name of a folder, never one such as ".."."""
    return re.sub(r"[/\\:]", "-", plain(name)).strip(". ") or "nameless"


def _write_class(grades: Sequence[Grade], out: Path) -> list[Path]:
    """Write class.md, class.png and answers.md."""
    written = [_write(out / "class.md", class_markdown(grades))]
    answers = answers_markdown(grades)
    if answers:
        written.append(_write(out / "answers.md", answers))
    if any(grade.results for grade in grades):
        with atomic_write(out / "class.png") as temporary:
            draw_class(grades, temporary)
        written.append(out / "class.png")
    return written


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return path
