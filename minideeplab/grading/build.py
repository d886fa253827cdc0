"""From a solved lesson to what a student, a reader on their own, or an instructor gets."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from minideeplab.grading.check import visible_name, visible_text
from minideeplab.grading.handout import readme
from minideeplab.grading.leaks import find_leaks
from minideeplab.grading.model import Lesson
from minideeplab.grading.notebook import to_notebook
from minideeplab.grading.source import punch_holes, split_cells
from minideeplab.io import atomic_write

STUDENT, SELF_STUDY, INSTRUCTOR = "student", "self-study", "instructor"
READERS = (STUDENT, SELF_STUDY, INSTRUCTOR)
MANIFEST = ".minideeplab-lesson.json"


@dataclass(frozen=True)
class Built:
    """Names of the files that were written, and of edited ones that were left as they are."""

    written: tuple[str, ...]
    kept: tuple[str, ...]


def build(lesson: Lesson, reader: str, out: Path) -> Built:
    """Write a lesson for a reader into a folder; files that were edited since stay as they are.

    Args:
        lesson: to build.
        reader: "student" (holes, visible cases), "self-study" (holes, all cases, and the solution
            in a file of its own) or "instructor" (solved, with the wrong answers).
        out: the folder, made if it does not exist.

    Raises:
        ValueError: the reader is unknown, the folder holds another lesson, or a student's build
            would give away a solution or a hidden case.
    """
    files = contents(lesson, reader)
    if reader == STUDENT:
        solved = (lesson.folder / "lesson.py").read_text(encoding="utf-8")
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


def contents(lesson: Lesson, reader: str) -> dict[str, str]:
    """Return the text of each file of a build, by name.

    Raises:
        ValueError: the reader is unknown.
    """
    if reader not in READERS:
        raise ValueError(f"reader: expected one of {', '.join(READERS)}, got {reader!r}")
    solved = (lesson.folder / "lesson.py").read_text(encoding="utf-8")
    stem = f"lesson_{lesson.number}"
    text = solved if reader == INSTRUCTOR else punch_holes(solved)
    header = f"# lesson: {lesson.name}\n\n"
    files = {
        f"{stem}.py": header + text,
        f"{stem}.ipynb": to_notebook(split_cells(text), lesson.name),
        visible_name(lesson.number): visible_text(lesson if reader == STUDENT else _open(lesson)),
        "README.md": readme(lesson, reader),
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


def _open(lesson: Lesson) -> Lesson:
    """Return a lesson all of whose cases are visible."""
    tasks = tuple(
        dataclasses.replace(
            task, cases=tuple(dataclasses.replace(case, shown=True) for case in task.cases)
        )
        for task in lesson.tasks
    )
    return dataclasses.replace(lesson, tasks=tasks)


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
    """Return a file's fingerprint; line endings do not count."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()
