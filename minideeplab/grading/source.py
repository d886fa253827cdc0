"""The text of a lesson: cells, holes in place of solutions, and the code that judging runs.

A lesson is one py:percent file: ``# %%`` begins a code cell, ``# %% [markdown]`` a text. What the
student writes stands between two comments, inside the task's function::

    # solution 2.1: sum K shifted copies of x
    ...
    # end 2.1

Answers to questions stand between ``<!-- answer -->`` and ``<!-- end -->`` in a text cell.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

_BEGIN = re.compile(r"(?P<indent> *)# solution (?P<task>\d+\.\d+): (?P<what>\S.*)")
_END = re.compile(r" *# end (?P<task>\d+\.\d+)")
WIDTH = 100
_ANSWER, _ANSWER_END = "# <!-- answer -->", "# <!-- end -->"


@dataclass(frozen=True)
class Cell:
    """A cell: "code" or "markdown", its text, and its first line's number in the file."""

    kind: str
    text: str
    line: int


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


def punch_holes(text: str, keep_answers: bool = False) -> str:
    """Replace every solution by a NotImplementedError, and take the answers out.

    Raises:
        ValueError: markers do not match.
    """
    if not keep_answers:
        text = _drop_answers(text)
    kept, task = [], ""
    for number, line in enumerate(text.splitlines(), 1):
        begin, end = _BEGIN.fullmatch(line), _END.fullmatch(line)
        if begin and not task:
            task = begin["task"]
            kept += _hole(begin["indent"], f"task {task}: {begin['what']}")
        elif end and end["task"] == task:
            task = ""
        elif begin or end:
            raise ValueError(f"line {number}: {line.strip()!r} does not match the marker before it")
        elif not task:
            kept.append(line)
    if task:
        raise ValueError(f"solution {task}: there is no '# end {task}'")
    return "\n".join(kept) + "\n"


def _hole(indent: str, message: str) -> list[str]:
    """Return the statement that stands for a solution, broken where it is long."""
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


def fill_hole(text: str, task: str) -> str:
    """Return a lesson in which only one task is solved, and the others are holes."""
    own = re.compile(rf" *# (solution {re.escape(task)}:.*|end {re.escape(task)})")
    parts, taken, inside = [], [], False
    for line in text.splitlines():
        if own.fullmatch(line):
            inside = "# solution" in line
            if inside:
                parts.append(f"# <hole {task}>")
        elif inside:
            taken.append(line)
        else:
            parts.append(line)
    return punch_holes("\n".join(parts)).replace(f"# <hole {task}>", "\n".join(taken))


def definitions(cells: list[Cell]) -> tuple[list[ast.stmt], list[str]]:
    """Return what judging runs of a file: imports, functions, classes, constants; and complaints.

    Calls, loops and figures in between are left out. A cell with a syntax error costs only what
    it defines.
    """
    kept: list[ast.stmt] = []
    complaints = []
    for cell in cells:
        if cell.kind != "code":
            continue
        try:
            tree = ast.parse(_without_magic(cell.text))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = cell.line + (getattr(error, "lineno", None) or 1) - 1
            complaints.append(f"line {line}: {getattr(error, 'msg', error)}")
            continue
        ast.increment_lineno(tree, cell.line - 1)
        kept += [statement for statement in tree.body if _defines(statement)]
    return kept, complaints


def _without_magic(text: str) -> str:
    """Blank out a notebook's ``%magic`` and ``!shell`` lines."""
    return "\n".join("" if re.match(r"\s*[%!]", line) else line for line in text.splitlines())


_DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def _defines(statement: ast.stmt) -> bool:
    """Tell whether a statement belongs to the answer and not to the figures around it."""
    if isinstance(statement, ast.Try):
        return all(isinstance(inner, (ast.Import, ast.ImportFrom)) for inner in statement.body)
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        flat = [part for t in targets for part in (t.elts if isinstance(t, ast.Tuple) else [t])]
        constant = all(isinstance(t, ast.Name) and t.id.isupper() for t in flat)
        return constant or isinstance(statement.value, ast.Lambda)
    return isinstance(statement, _DEFINITIONS)
