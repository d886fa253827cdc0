"""Find submissions: one file or folder, or a folder with one file or folder per student."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from minideeplab.grading.source import Cell, open_holes, read_notebook, split_cells

SUFFIXES = (".py", ".ipynb")
NOT_ANSWERS = re.compile(r"given|cases|conftest|setup|(?:solution|visible)_\d\d")
LARGEST = 4_000_000  # bytes; a lesson has about 20,000
GRADES = "grades"
"""Name of the folder with the class' results; it is no submission."""

_STANDARD = re.compile(r"lesson_(\d\d)")
_HEADER = re.compile(r"# lesson: (\d\d)_\w+")


@dataclass(frozen=True)
class Submission:
    """One student's file for one lesson.

    Attributes:
        name: the student's folder or file.
        lesson: number of the lesson, such as "02", "" if the file does not name one.
        file: name of the file, "" if there is none.
        cells: its cells.
        problem: why it cannot be read, "" if it can.
    """

    name: str
    lesson: str
    file: str
    cells: tuple[Cell, ...] = ()
    problem: str = ""


def find_submissions(path: Path) -> list[list[Submission]]:
    """Return the submissions in a folder or file, grouped by student and lesson.

    Each group holds the candidates of which `choose` takes one: the notebook and the .py file. The
    folder of a student who submitted nothing gives one `Submission` without a file.

    Raises:
        ValueError: there is no submission at all.
    """
    if path.is_file():
        return [[read(path, path.stem)]]
    if not path.is_dir():
        raise ValueError(f"{path}: no such file or folder; expected a submission or many")
    flat = _candidates(path.iterdir())
    if flat and all(_STANDARD.fullmatch(file.stem) for file in flat):
        return _group(flat, path.resolve().name)
    if flat:
        return [group for stem in sorted({f.stem for f in flat})
                for group in _group([f for f in flat if f.stem == stem], stem)]  # fmt: skip
    folders = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))
    found = []
    for folder in folders:
        files = _candidates(folder.rglob("*"))
        if files:
            found += _group(files, folder.name)
        elif folder.name != GRADES:
            found.append([Submission(folder.name, "", "", problem="no lesson was handed in")])
    if not any(one.file for group in found for one in group):
        raise ValueError(f"{path}: no submission; expected lesson_NN.py or lesson_NN.ipynb in it, "
                         "or a folder or file of each student's")  # fmt: skip
    return found


def _candidates(paths: Iterable[Path]) -> list[Path]:
    """Return the files that may be submissions, sorted."""
    return sorted(
        path
        for path in paths
        if path.suffix in SUFFIXES
        and (path.is_file() or path.is_symlink())
        and not NOT_ANSWERS.fullmatch(path.stem)
        and not any(part.startswith((".", "__")) or part == "wrong" for part in path.parts[-3:])
    )


def _group(files: list[Path], name: str) -> list[list[Submission]]:
    """Group one student's files by lesson."""
    found = [read(file, name) for file in files]
    lessons = sorted({one.lesson for one in found})
    return [[one for one in found if one.lesson == lesson] for lesson in lessons]


def read(path: Path, name: str) -> Submission:
    """Return one file as a submission; whatever is wrong with it becomes its ``problem``."""
    standard = _STANDARD.match(path.stem)
    lesson = standard[1] if standard else ""
    problem = ""
    cells: list[Cell] = []
    if path.is_symlink() or not path.is_file():
        problem = "a link, expected the file itself"
    elif path.stat().st_size > LARGEST:
        problem = f"{path.stat().st_size} bytes, expected at most {LARGEST}"
    else:
        try:
            text = path.read_bytes().decode("utf-8-sig")
            if path.suffix == ".ipynb":
                cells, named = read_notebook(text)
                header = _HEADER.fullmatch(f"# lesson: {named}")
            else:
                cells, header = split_cells(text), _HEADER.search(text)
            lesson = header[1] if header else lesson
        except ValueError as error:  # not UTF-8, or not a notebook
            problem = f"cannot be read: {error}"
    return Submission(name, lesson, path.name, tuple(cells), problem)


def choose(candidates: list[Submission]) -> Submission:
    """Return the one of a student's files with the fewest unfilled holes."""

    def left(one: Submission) -> tuple[bool, int, bool]:
        holes = open_holes("\n".join(cell.text for cell in one.cells))
        return bool(one.problem), len(holes), one.file.endswith(".ipynb")

    return min(candidates, key=left)
