"""Find submissions: one file or folder, or a folder with one file or folder per student."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from minideeplab.grading.source import Cell, open_holes, read_notebook, split_cells

SUFFIXES = (".py", ".ipynb")
ARCHIVES = (".zip", ".gz", ".tgz", ".tar", ".7z", ".rar")
NOT_ANSWERS = re.compile(r"given|cases|conftest|setup|(?:solution|visible)_\d\d")
LARGEST = 4_000_000  # bytes; a lesson has about 20,000
MANY = 2000  # files of a folder that are looked at
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
        problem: why it cannot be graded, "" if it can.
        remark: what else was handed in.
    """

    name: str
    lesson: str
    file: str
    cells: tuple[Cell, ...] = ()
    problem: str = ""
    remark: str = ""

    @property
    def said(self) -> str:
        """What to tell the student: the problem and the remark."""
        return "; ".join(filter(None, (self.problem, self.remark)))


def find_submissions(path: Path, single: bool = False) -> list[list[Submission]]:
    """Return the submissions in a folder or file, grouped by student and lesson.

    Each group holds the candidates of which `choose` takes one: the notebook and the .py file. What
    is there but cannot be graded is a `Submission` with a ``problem``: it is never left out.

    Args:
        path: a file, a student's folder, or a folder with a file or folder of each student.
        single: everything in the folder is one student's.

    Raises:
        ValueError: there is no submission at all.
    """
    if path.is_file():
        return [[read(path, path.stem)]]
    if not path.is_dir():
        raise ValueError(f"{path}: no such file or folder; expected a submission or many")
    if single:
        return _student(path, path.resolve().name)
    entries = sorted(path.iterdir())
    flat = [p for p in entries if _may_be_answer(p) and not NOT_ANSWERS.fullmatch(p.stem)]
    folders = [p for p in entries if p.is_dir() and not p.name.startswith((".", "__"))]
    inside = [p for p in folders if p.name != GRADES and (p.is_symlink() or _handed_in(p))]
    if flat and all(_STANDARD.fullmatch(file.stem) for file in flat) and not inside:
        return _group(flat, path.resolve().name)
    found = [group for stem in sorted({f.stem for f in flat})
             for group in _group([f for f in flat if f.stem == stem], stem)]  # fmt: skip
    for folder in folders if not flat or inside else []:
        if folder.name != GRADES or folder in inside:
            found += _student(folder, folder.name)
    if not any(one.file for group in found for one in group):
        raise ValueError(f"{path}: no submission; expected lesson_NN.py or lesson_NN.ipynb in it, "
                         "or a folder or file of each student's")  # fmt: skip
    return found


def _may_be_answer(path: Path) -> bool:
    return not path.is_dir() and not path.name.startswith((".", "__")) and (
        path.suffix.lower() in SUFFIXES + ARCHIVES
    )  # fmt: skip


def _handed_in(folder: Path) -> list[Path]:
    """Return the files of a student's folder that may be answers, and archives, sorted."""
    try:
        some = itertools.islice(folder.rglob("*"), MANY)
        return sorted(
            path
            for path in some
            if _may_be_answer(path)
            and not NOT_ANSWERS.fullmatch(path.stem)
            and path.parent.resolve().is_relative_to(folder.resolve())
            and not any(part.startswith((".", "__")) or part == "wrong"
                        for part in path.relative_to(folder).parts[:-1])
        )  # fmt: skip
    except OSError:
        return []


def _student(folder: Path, name: str) -> list[list[Submission]]:
    """Return one student's submissions; one with a problem if there is none."""
    if folder.is_symlink():
        return [[Submission(name, "", "", problem="a link, expected the folder itself")]]
    files = _handed_in(folder)
    if files:
        return _group(files, name)
    others = sorted(p.name for p in itertools.islice(folder.rglob("*"), MANY) if p.is_file())
    there = f"; there is {', '.join(others[:3])}, expected .py or .ipynb" if others else ""
    return [[Submission(name, "", "", problem=f"no lesson was handed in{there}")]]


def _group(files: list[Path], name: str) -> list[list[Submission]]:
    """Group one student's files by lesson; files that name none count where no other file does."""
    found = [read(file, name) for file in files]
    named = [one for one in found if one.lesson] or found
    lessons = sorted({one.lesson for one in named})
    return [[one for one in named if one.lesson == lesson] for lesson in lessons]


def read(path: Path, name: str) -> Submission:
    """Return one file as a submission; whatever is wrong with it becomes its ``problem``."""
    standard = _STANDARD.match(path.stem)
    lesson = standard[1] if standard else ""
    problem = ""
    cells: list[Cell] = []
    if path.is_symlink() or not path.is_file():
        problem = "a link or special file, expected the file itself"
    elif path.stem.endswith("_given"):
        problem = "a copy of given.py, which is handed out; hand in the lesson's file"
    elif path.suffix.lower() in ARCHIVES:
        problem = "an archive, which is not opened; hand in the .py or .ipynb itself"
    elif path.suffix.lower() not in SUFFIXES:
        problem = f"a {path.suffix or 'nameless'} file, expected .py or .ipynb"
    elif path.stat().st_size > LARGEST:
        problem = f"{path.stat().st_size} bytes, expected at most {LARGEST}"
    else:
        try:
            text = path.read_bytes().decode("utf-8-sig")
            if path.suffix.lower() == ".ipynb":
                cells, named = read_notebook(text)
                header = _HEADER.fullmatch(f"# lesson: {named}")
            else:
                cells, header = split_cells(text), _HEADER.search(text)
            lesson = header[1] if header else lesson
        except (ValueError, OSError) as error:  # not UTF-8, no notebook, or not readable
            problem = f"cannot be read: {error}"
    return Submission(name, lesson, path.name, tuple(cells), problem)


def choose(candidates: list[Submission]) -> Submission:
    """Return the one of a student's files with the fewest unfilled holes."""

    def left(one: Submission) -> tuple[bool, int, bool]:
        holes = open_holes("\n".join(cell.text for cell in one.cells))
        return bool(one.problem), len(holes), one.file.endswith(".ipynb")

    return min(candidates, key=left)
