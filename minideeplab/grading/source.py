"""The text of a lesson: its cells, holes in place of solutions, and notebooks.

A lesson is one py:percent file: ``# %%`` begins a code cell, ``# %% [markdown]`` a text. The
solution stands between two comments, inside the task's function::

    # solution 2.1: sum K shifted copies of x
    ...
    # end 2.1

Answers to questions stand between ``<!-- answer -->`` and ``<!-- end -->`` in a text cell.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_BEGIN = re.compile(r"(?P<indent> *)# solution (?P<task>\d+\.\d+): (?P<what>\S.*)")
_END = re.compile(r" *# end (?P<task>\d+\.\d+)")
WIDTH = 100
_ANSWER, _ANSWER_END = "# <!-- answer -->", "# <!-- end -->"


@dataclass(frozen=True)
class Cell:
    """A cell: "code" or "markdown", its text, and its first line's number in the file.

    ``number``: of a notebook's code cell, from 1; its lines count from 1. 0 in a Python file.
    """

    kind: str
    text: str
    line: int
    number: int = 0


def split_cells(text: str) -> list[Cell]:
    """Split a py:percent file into its cells; without ``# %%`` it is one code cell."""
    cells: list[Cell] = []
    kind, lines, start = "code", [], 1
    for number, line in enumerate([*text.splitlines(), "# %%"], 1):
        if not line.startswith("# %%"):
            lines.append(line)
            continue
        body = "\n".join(lines).strip("\n")
        if body.strip():
            skipped = next(i for i, text_line in enumerate(lines) if text_line.strip())
            cells.append(Cell(kind, _uncomment(body) if kind == "markdown" else body,
                              start + skipped))  # fmt: skip
        kind, lines, start = "markdown" if "[markdown]" in line else "code", [], number + 1
    return cells


def _uncomment(body: str) -> str:
    return "\n".join(re.sub(r"^# ?", "", line) for line in body.splitlines())


def punch_holes(text: str, keep: str = "") -> str:
    """Return a lesson's text without answers, a NotImplementedError in place of every solution.

    The solution of the task ``keep`` stays.

    Raises:
        ValueError: markers do not match.
    """
    kept, task = [], ""
    for number, line in enumerate(_drop_answers(text).splitlines(), 1):
        begin, end = _BEGIN.fullmatch(line), _END.fullmatch(line)
        if begin and not task:
            task = begin["task"]
            if task != keep:
                kept += _hole(begin["indent"], f"task {task}: {begin['what']}")
        elif end and end["task"] == task:
            task = ""
        elif begin or end:
            raise ValueError(f"line {number}: {line.strip()!r} does not match the marker before it")
        elif task in ("", keep):
            kept.append(line)
    if task:
        raise ValueError(f"solution {task}: there is no '# end {task}'")
    return "\n".join(kept) + "\n"


def _hole(indent: str, message: str) -> list[str]:
    """Return the lines of the statement in place of a solution."""
    quoted = message.replace("\\", "\\\\").replace('"', '\\"')
    line = f'{indent}raise NotImplementedError("{quoted}")'
    if len(line) <= WIDTH:
        return [line]
    return [f"{indent}raise NotImplementedError(", f'{indent}    "{quoted}"', f"{indent})"]


def open_holes(text: str) -> set[str]:
    """Return the ids of the tasks whose holes are still in a text."""
    return set(re.findall(r'NotImplementedError\(\s*"task (\d+\.\d+):', text))


def _drop_answers(text: str) -> str:
    kept, inside = [], False
    for line in text.splitlines():
        if line.strip() in (_ANSWER, _ANSWER_END):
            inside = line.strip() == _ANSWER
        elif not inside:
            kept.append(line)
    return "\n".join(kept) + "\n"


def solutions(text: str) -> dict[str, str]:
    """Return each task's solution, the lines between its markers."""
    found: dict[str, list[str]] = {}
    task = ""
    for line in text.splitlines():
        begin = _BEGIN.fullmatch(line)
        if begin:
            task = begin["task"]
            found[task] = []
        elif _END.fullmatch(line):
            task = ""
        elif task:
            found[task].append(line)
    return {task: "\n".join(lines) for task, lines in found.items()}


# ---------------------------------------------------------------- Jupyter notebooks


def to_notebook(cells: list[Cell], lesson: str) -> str:
    """Return cells as an ``.ipynb`` (nbformat 4.5) without outputs."""
    notebook = {
        "cells": [_cell(cell, number) for number, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "minideeplab": {"lesson": lesson},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _cell(cell: Cell, number: int) -> dict[str, Any]:
    content = {"id": f"cell-{number:02d}", "metadata": {}, "source": cell.text.splitlines(True)}
    if cell.kind == "markdown":
        return {"cell_type": "markdown", **content}
    return {"cell_type": "code", "execution_count": None, "outputs": [], **content}


def read_notebook(text: str) -> tuple[list[Cell], str]:
    """Return a notebook's cells, and the lesson that its metadata name ("" if they do not).

    Raises:
        ValueError: the text is no notebook.
    """
    try:
        data = json.loads(text)
        cells, number = [], 0
        for cell in data["cells"]:
            source = cell["source"]
            body = source if isinstance(source, str) else "".join(source)
            kind = "markdown" if cell["cell_type"] == "markdown" else "code"
            if cell["cell_type"] in ("code", "markdown"):
                number += kind == "code"
                cells.append(Cell(kind, body, 1, number if kind == "code" else 0))
        lesson = data.get("metadata", {}).get("minideeplab", {}).get("lesson", "")
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a Jupyter notebook: {error}") from None
    return cells, str(lesson)


def has_output(text: str) -> bool:
    """Tell whether a notebook contains outputs."""
    cells = json.loads(text)["cells"]
    return any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
