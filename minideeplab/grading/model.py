"""Lesson, Task, Case and WrongAnswer: the data of a lesson.

They hold arrays, so they compare by identity (``eq=False``) and can be keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ALL = "all"
"""For ``wrong(loses=ALL)``: every case of the task."""


@dataclass(frozen=True)
class About:
    """A lesson's row in the table of lessons.

    Attributes:
        title: such as "Atrous convolution and field of view".
        minutes: a student's time.
        needs: numbers of the lessons to do before, such as ("01",).
        paper: the section of arXiv 1606.00915, or another source.
        allow: modules that a task's code may import besides NumPy and Python's own, such as
            ("numba",). They are loaded before the student's code.
    """

    title: str
    minutes: int
    needs: tuple[str, ...] = ()
    paper: str = ""
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class Given:
    """As an argument of a case: the function of this name in the lesson's ``given.py``."""

    name: str


@dataclass(frozen=True, eq=False)
class Case:
    """One call of a task's function.

    Attributes:
        name: what the case is about; unique in its task, and shown to the student.
        args: positional arguments: arrays (at most a few thousand entries), numbers, strings,
            None, lists, tuples and dictionaries of these, and `Given` functions.
        options: keyword arguments.
        shown: the student gets this case with its expected result. The others stay hidden.
    """

    name: str
    args: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    shown: bool = False


@dataclass(frozen=True, eq=False)
class Task:
    """One function for the student to write. It is solved when every case is right.

    Attributes:
        id: lesson and number, such as "2.1".
        function: its name in ``lesson.py``.
        points: for the whole task; there is no partial credit.
        reference: returns the expected result for a case's arguments. It is independent of the
            solution in ``lesson.py``, for instance a call into minideeplab.
        cases: the visible and the hidden ones.
        returns: names of the parts if a tuple is returned, such as ("dx", "dw").
        rtol: tolerance of floats, relative to the array's largest magnitude. 1e-9 allows any
            order of a float64 sum and is far below the effect of a mistake.
        seconds: processor time of all cases together, Python's start included.
        origin: where a result must come from, such as "a kernel"; ``origin(value, arguments)``
            in the lesson's ``given.py`` says where one comes from, "" if it does not know.
    """

    id: str
    function: str
    points: int
    reference: Callable[..., Any]
    cases: tuple[Case, ...]
    returns: tuple[str, ...] = ()
    rtol: float = 1e-9
    seconds: float = 10.0
    origin: str = ""


@dataclass(frozen=True, eq=False)
class WrongAnswer:
    """A mistake that students make: the function, the cases that it loses, and the hint."""

    task: str
    name: str
    loses: tuple[str, ...] | str
    hint: str
    function: Callable[..., Any]


def wrong(task: str, loses: Sequence[str] | str, hint: str) -> Callable[..., Any]:
    """Mark a function in ``wrong/*.py`` as a known wrong answer to ``task``.

    Args:
        task: the task's id, such as "2.1".
        loses: names of exactly the cases that are wrong, or ``ALL``.
        hint: one or two sentences that name the mistake without giving the answer away.
    """

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        lost = loses if isinstance(loses, str) else tuple(loses)
        function.wrong_answer = WrongAnswer(task, function.__name__, lost, hint, function)
        return function

    return mark


@dataclass(frozen=True, eq=False)
class Lesson:
    """A lesson's folder, loaded, without the solved text (`build.read_solved`)."""

    folder: Path
    about: About
    tasks: tuple[Task, ...]
    wrong: tuple[WrongAnswer, ...]
    given: Any

    @property
    def name(self) -> str:
        """The folder's name, such as "02_atrous_convolution"."""
        return self.folder.name

    @property
    def number(self) -> str:
        """The two digits that the name begins with."""
        return self.name[:2]

    @property
    def points(self) -> int:
        """Points of all tasks."""
        return sum(task.points for task in self.tasks)

    def task(self, task_id: str) -> Task:
        """Return the task with an id.

        Raises:
            ValueError: there is none.
        """
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise ValueError(
            f"lesson {self.name}: no task {task_id!r}, there are "
            f"{', '.join(t.id for t in self.tasks)}"
        )

    def wrong_answers(self, task: Task) -> list[WrongAnswer]:
        """Return the known wrong answers to a task."""
        return [answer for answer in self.wrong if answer.task == task.id]
