"""Find and load lessons: folders ``NN_topic`` with a lesson.py and a cases.py."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import minideeplab
from minideeplab.grading.loading import importable
from minideeplab.grading.model import Lesson, Task, WrongAnswer

_NAME = re.compile(r"\d\d_\w+")


def find_folder(given: Path | None = None) -> Path:
    """Return the folder of lessons: ``given``, ``./lessons``, ``..``, or that of the checkout.

    Raises:
        ValueError: there are no lessons there.
    """
    beside_package = Path(minideeplab.__file__).resolve().parents[1] / "lessons"
    candidates = [given] if given is not None else [Path("lessons"), Path(".."), beside_package]
    for folder in candidates:
        if lesson_folders(folder):
            return folder.resolve()
    raise ValueError(
        f"no lessons in {' or '.join(map(str, candidates))}; expected folders such as "
        "02_atrous_convolution with a lesson.py (they come with the source checkout, "
        "not with the installed package); name the place with --lessons DIR"
    )


def lesson_folders(folder: Path) -> list[Path]:
    """Return the lessons in a folder, in order; none if it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if _NAME.fullmatch(path.name) and (path / "lesson.py").is_file()
    )


def load_lessons(names: Sequence[str] = (), folder: Path | None = None) -> list[Lesson]:
    """Return the lessons of these numbers or names, loaded; without names all of them.

    Raises:
        ValueError: there is no such lesson.
    """
    if names:
        return [find_lesson(name, folder) for name in names]
    return [load_lesson(path) for path in lesson_folders(find_folder(folder))]


def find_lesson(name: str, folder: Path | None = None) -> Lesson:
    """Return the lesson with a number ("2" or "02") or name ("02_atrous_convolution"), loaded.

    Raises:
        ValueError: there is no such lesson.
    """
    folders = lesson_folders(find_folder(folder))
    wanted = name.zfill(2) if name.isdigit() else name
    for path in folders:
        if wanted in (path.name, path.name[:2]):
            return load_lesson(path)
    raise ValueError(f"no lesson {name!r}; there are {', '.join(p.name for p in folders)}")


def load_lesson(folder: Path) -> Lesson:
    """Return a folder's lesson: its tasks and cases, given functions and known wrong answers.

    Raises:
        ValueError: the lesson is inconsistent; the message says how.
    """
    folder = folder.resolve()
    given_path = folder / "given.py"
    given = load_module(given_path) if given_path.is_file() else None
    with importable(given):
        cases = load_module(folder / "cases.py")
        modules = [load_module(path) for path in sorted((folder / "wrong").glob("*.py"))]
    answers = [
        member.wrong_answer
        for module in modules
        for member in vars(module).values()
        if isinstance(getattr(member, "wrong_answer", None), WrongAnswer)
    ]
    lesson = Lesson(folder, cases.ABOUT, tuple(cases.TASKS), tuple(answers), given)
    _validate(lesson)
    return lesson


def load_module(path: Path) -> ModuleType:
    """Return a file as a module of a name that no other lesson's file has.

    Raises:
        ValueError: there is no such file.
    """
    name = f"_lesson_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(f"{path}: no such file; every lesson has one")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _validate(lesson: Lesson) -> None:
    _unique(f"{lesson.name}: task", [task.id for task in lesson.tasks])
    _unique(f"{lesson.name}: function", [task.function for task in lesson.tasks])
    _unique(f"{lesson.name}: wrong answer", [(a.task, a.name) for a in lesson.wrong])
    for task in lesson.tasks:
        _unique(f"{lesson.name}: task {task.id}: case", [case.name for case in task.cases])
        if not any(case.shown for case in task.cases):
            raise ValueError(f"{lesson.name}: task {task.id}: no case is shown to the student")
        if task.id.split(".")[0] != str(int(lesson.number)):
            raise ValueError(f"{lesson.name}: task {task.id}: expected {int(lesson.number)}.N")
    for answer in lesson.wrong:
        _validate_losses(lesson.task(answer.task), answer)


def _validate_losses(task: Task, answer: WrongAnswer) -> None:
    names = {case.name for case in task.cases}
    unknown = set() if isinstance(answer.loses, str) else set(answer.loses) - names
    if unknown or (isinstance(answer.loses, str) and answer.loses != "all") or not answer.loses:
        raise ValueError(
            f"wrong answer {answer.name}: loses {answer.loses!r}; expected names of "
            f"task {task.id}'s cases, or ALL: {sorted(names)}"
        )


def _unique(what: str, names: list[Any]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice or not names:
        raise ValueError(f"{what}: {'twice: ' + str(sorted(twice)) if twice else 'there is none'}")
