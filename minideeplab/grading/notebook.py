"""Jupyter notebooks as plain JSON: written from a lesson's cells, and read back as cells."""

from __future__ import annotations

import json
from typing import Any

from minideeplab.grading.source import Cell


def to_notebook(cells: list[Cell], lesson: str) -> str:
    """Return cells as an ``.ipynb`` (nbformat 4.5) that was never executed."""
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
    """Return a notebook's cells, and the lesson that it says it is of ("" if it does not say).

    A cell's line counts from the first code cell, as if the cells were one file.

    Raises:
        ValueError: the text is no notebook.
    """
    try:
        data = json.loads(text)
        cells, line = [], 1
        for cell in data["cells"]:
            source = cell["source"]
            body = source if isinstance(source, str) else "".join(source)
            kind = "markdown" if cell["cell_type"] == "markdown" else "code"
            if cell["cell_type"] in ("code", "markdown"):
                cells.append(Cell(kind, body, line))
                line += body.count("\n") + 1
        lesson = data.get("metadata", {}).get("minideeplab", {}).get("lesson", "")
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a Jupyter notebook: {error}") from None
    return cells, str(lesson)


def has_output(text: str) -> bool:
    """Tell whether a notebook holds anything that came out of running it."""
    cells = json.loads(text)["cells"]
    return any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
