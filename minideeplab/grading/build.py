"""Build a solved lesson for students, for self-study or for instructors; READMEs and tables."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minideeplab.grading.check import visible_name, visible_text
from minideeplab.grading.leaks import find_leaks
from minideeplab.grading.model import ALL, Lesson
from minideeplab.grading.source import punch_holes, split_cells, to_notebook
from minideeplab.io import atomic_write

STUDENT, SELF_STUDY, INSTRUCTOR = "student", "self-study", "instructor"
READERS = (STUDENT, SELF_STUDY, INSTRUCTOR)
MY_ANSWERS = ("## My answers", "Write your answers to *Check yourself* here.")
"""Heading and text of the cell for the student's answers to the lesson's questions."""
MANIFEST = ".minideeplab-lesson.json"


@dataclass(frozen=True)
class Built:
    """Names of the files that were written, and of edited files that were kept."""

    written: tuple[str, ...]
    kept: tuple[str, ...]


def build(lesson: Lesson, reader: str, out: Path) -> Built:
    """Write a lesson for a reader into a folder; files that were edited since are kept.

    Args:
        lesson: to build.
        reader: "student" (holes, visible cases), "self-study" (holes, all cases, and the solution
            in a file of its own) or "instructor" (solved, with the wrong answers).
        out: the folder, made if it does not exist.

    Raises:
        ValueError: the reader is unknown, the folder holds another lesson, or a student's build
            would leak a solution or a hidden case.
    """
    files = contents(lesson, reader)
    if reader == STUDENT:
        solved = read_solved(lesson)
        leaks = find_leaks(lesson, solved, files)
        if leaks:
            raise ValueError(f"lesson {lesson.name} is not built, it would leak: {leaks[0]}"
                             + (f" (and {len(leaks) - 1} more)" if leaks[1:] else ""))  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    known = _read_manifest(out, lesson)
    written, kept = [], []
    for name, text in files.items():
        target = out / name
        if target.exists() and _digest(target.read_bytes()) != known.get(name):
            kept.append(name)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
        known[name] = _digest(text.encode())
        written.append(name)
    with atomic_write(out / MANIFEST) as temporary:
        temporary.write_text(json.dumps({"lesson": lesson.name, "files": known}, indent=1))
    return Built(tuple(written), tuple(kept))


def read_solved(lesson: Lesson) -> str:
    """Return the text of a lesson's solved file."""
    return (lesson.folder / "lesson.py").read_text(encoding="utf-8")


def contents(lesson: Lesson, reader: str) -> dict[str, str]:
    """Return the text of each file of a build, by name.

    Raises:
        ValueError: the reader is unknown.
    """
    if reader not in READERS:
        raise ValueError(f"reader: expected one of {', '.join(READERS)}, got {reader!r}")
    solved = read_solved(lesson)
    stem = f"lesson_{lesson.number}"
    text = solved if reader == INSTRUCTOR else punch_holes(solved) + _answers_cell(solved)
    header = f"# lesson: {lesson.name}\n\n"
    files = {
        f"{stem}.py": header + text,
        f"{stem}.ipynb": to_notebook(split_cells(text), lesson.name),
        visible_name(lesson.number): visible_text(lesson if reader == STUDENT else _open(lesson)),
        "README.md": _readme(lesson, reader),
    }
    if lesson.given is not None:
        files["given.py"] = (lesson.folder / "given.py").read_text(encoding="utf-8")
    if reader == SELF_STUDY:
        files[f"solution_{lesson.number}.py"] = header + solved
    if reader == INSTRUCTOR:
        for path in [lesson.folder / "cases.py", *sorted((lesson.folder / "wrong").glob("*.py"))]:
            name = path.relative_to(lesson.folder).as_posix()
            files[name] = path.read_text(encoding="utf-8")
    return files


def _answers_cell(solved: str) -> str:
    """Return a cell for written answers, if the lesson has questions with answers."""
    if "<!-- answer -->" not in solved:
        return ""
    return "\n# %% [markdown]\n" + "\n#\n".join(f"# {line}" for line in MY_ANSWERS) + "\n"


def _open(lesson: Lesson) -> Lesson:
    """Return a lesson all of whose cases are visible."""
    replace = dataclasses.replace
    shown = [tuple(replace(case, shown=True) for case in task.cases) for task in lesson.tasks]
    pairs = zip(lesson.tasks, shown, strict=True)
    return replace(lesson, tasks=tuple(replace(task, cases=cases) for task, cases in pairs))


def _read_manifest(out: Path, lesson: Lesson) -> dict[str, str]:
    """Return the digests of the files that earlier builds wrote."""
    path = out / MANIFEST
    if not path.is_file():
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    if data["lesson"] != lesson.name:
        raise ValueError(
            f"{out}: holds lesson {data['lesson']}; expected an empty folder or one with "
            f"{lesson.name}, choose another --out"
        )
    return dict(data["files"])


def _digest(content: bytes) -> str:
    """Return a file's SHA-256 digest, independent of line endings."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


# ---------------------------------------------------------------- READMEs and tables


def _readme(lesson: Lesson, reader: str) -> str:
    """Return the README that goes with a built lesson."""
    about, number = lesson.about, lesson.number
    needs = "nothing but NumPy and a little calculus"
    if about.needs:
        needs = f"lesson {', '.join(about.needs)}"
    return "\n".join([
        f"# Lesson {int(number)} · {about.title}\n",
        f"About {about.minutes} minutes; needs {needs}; paper: {about.paper}.\n",
        _instructor(lesson) if reader == INSTRUCTOR else _work(lesson, reader),
        _tasks(lesson, hidden=reader != STUDENT),
    ])  # fmt: skip


def _work(lesson: Lesson, reader: str) -> str:
    number = lesson.number
    modules = ", ".join(name for name in lesson.about.allow if "." not in name)
    steps = [
        f"1. Open `lesson_{number}.ipynb` in Jupyter, or `lesson_{number}.py` in an editor; use "
        "one of the two.",
        "2. Fill in each hole, in place of `raise NotImplementedError(...)`, with NumPy"
        f"{', ' + modules if modules else ''} and Python's own modules.",
        f"3. Run the cell: `check` tries the visible cases, which are in `visible_{number}.json`.",
        "4. With the checkout, `minideeplab lesson grade .` in this folder gives verdicts, points "
        "and hints. Hidden cases count, too: a task has its points when all its cases are right. "
        "Without the checkout, `check` is what you have; the hidden cases are your instructor's.",
        '5. Write your answers to "Check yourself" into the last cell.',
    ]
    if reader == SELF_STUDY:
        steps.append(f"6. Compare with `solution_{number}.py` when you are done, or stuck.")
    return "\n".join([*_INSTALL, *steps, "", _WHAT_IS_READ])


_INSTALL = (
    "Install once, in the folder of the minideeplab source (your instructor names the place):\n",
    "```sh",
    "python3 -m venv .venv && .venv/bin/pip install . jupyterlab",
    "```\n",
    "Then start `.venv/bin/jupyter lab` there and open this folder.\n",
)
_WHAT_IS_READ = (
    "Of your file only imports, functions, classes and constants in CAPITALS are read when it is "
    "graded; plots and experiments between them are not run. Arguments are read-only.\n"
)


def _instructor(lesson: Lesson) -> str:
    rows = [
        f"| {answer.task} | `{answer.name}` | "
        f"{'all' if answer.loses == ALL else '; '.join(answer.loses)} | {answer.hint} |"
        for task in lesson.tasks
        for answer in lesson.wrong_answers(task)
    ]
    return "\n".join([
        f"`lesson_{lesson.number}.py` is solved, `cases.py` has the cases and `wrong/` the known "
        "wrong answers. Do not hand this folder out.\n",
        "| Task | Known wrong answer | Cases lost | Hint |",
        "|---|---|---|---|",
        *rows,
        "",
    ])  # fmt: skip


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
