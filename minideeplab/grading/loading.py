"""Run the definitions of a lesson's file: imports, functions, classes and constants."""

from __future__ import annotations
import __future__

import ast
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from minideeplab.grading.outcome import CELL, cell_name
from minideeplab.grading.source import Cell

_ANNOTATIONS = __future__.annotations.compiler_flag  # annotations are not evaluated
_DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


class Absent:
    """Stands for a module or name that could not be imported; any use raises the reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def _refuse(self, *args: Any, **options: Any) -> Any:
        raise ImportError(self._reason)

    __call__ = __getattr__ = __getitem__ = _refuse


@contextmanager
def importable(given: ModuleType | None) -> Iterator[None]:
    """Make ``import given`` find this lesson's given.py, or nothing for None."""
    before = sys.modules.pop("given", None)
    try:
        if given is not None:
            sys.modules["given"] = given
        yield
    finally:
        sys.modules.pop("given", None)
        if before is not None:
            sys.modules["given"] = before


def load_definitions(
    cells: list[Cell], file: str, given: ModuleType | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Return the names that a file defines, and complaints about what failed.

    Imports, functions, classes and constants (names in capitals, literals and arithmetic with
    them) are run; calls, loops and plots are left out. A statement that fails costs only the names
    that it defines, a syntax error those of its cell.

    Args:
        cells: of the file.
        file: its name, for tracebacks.
        given: what ``import given`` finds.
    """
    names: dict[str, Any] = {"__name__": "lesson", "__file__": file}
    complaints: list[str] = []
    statements = [
        (cell.number, statement)
        for cell in cells
        if cell.kind == "code"
        for statement in parsed(cell, complaints)
        if is_definition(statement)
    ]
    with importable(given):
        for number, statement in statements:
            _execute(statement, number, names, file, complaints)
    return names, complaints


def parsed(cell: Cell, complaints: list[str]) -> list[ast.stmt]:
    """Return a cell's statements without ``%magic`` and ``!shell`` lines, numbered as in the file.

    A cell that is no Python has none, and the reason is appended to ``complaints``.
    """
    lines = ("" if re.match(r"\s*[%!]", line) else line for line in cell.text.splitlines())
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = cell.line + (getattr(error, "lineno", None) or 1) - 1
        complaints.append(f"{cell_name(cell.number)}line {line}: {getattr(error, 'msg', error)}")
        return []
    return ast.increment_lineno(tree, cell.line - 1).body


def is_definition(statement: ast.stmt) -> bool:
    """Tell whether a statement belongs to the answer, not to the plots around it."""
    if isinstance(statement, ast.Try):
        return all(isinstance(inner, (ast.Import, ast.ImportFrom)) for inner in statement.body)
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        flat = [part for t in targets for part in (t.elts if isinstance(t, ast.Tuple) else [t])]
        constant = all(isinstance(t, ast.Name) and t.id.isupper() for t in flat)
        named = all(isinstance(t, ast.Name) for t in flat)
        return constant or (named and statement.value is not None and _is_constant(statement.value))
    return isinstance(statement, _DEFINITIONS)


def _is_constant(value: ast.expr) -> bool:
    """Tell whether an expression is a function, a literal, or made of literals and names.

    NumPy's functions of these are included, such as ``np.array([1, 2, 1]) / 4``.
    """
    if isinstance(value, ast.Lambda):
        return True
    for node in ast.walk(value):
        if isinstance(node, ast.Call):
            if ast.unparse(node.func).partition(".")[0] not in ("np", "numpy", "math", "range"):
                return False
        elif isinstance(node, (ast.Subscript, ast.Starred, ast.Await, ast.comprehension)):
            return False
    return True


def _execute(
    statement: ast.stmt, cell: int, names: dict[str, Any], file: str, complaints: list[str]
) -> None:
    try:
        module = ast.Module([statement], type_ignores=[])
        name = f"{file}{CELL}{cell}" if cell else file
        exec(compile(module, name, "exec", _ANNOTATIONS, dont_inherit=True), names)
    except BaseException as error:  # SystemExit, too
        if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Try)):
            for node in ast.walk(statement):
                if isinstance(node, ast.alias):
                    name = node.asname or node.name.split(".")[0]
                    names.setdefault(name, Absent(str(error)))
        elif not isinstance(statement, (ast.Assign, ast.AnnAssign)):
            # An assignment that fails usually belongs to a plot; otherwise its use will raise.
            place = f"{cell_name(cell)}line {statement.lineno}"
            complaints.append(f"{place}: {type(error).__name__}: {error}")
