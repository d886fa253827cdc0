"""Running the definitions of a lesson's file, statement by statement."""

from __future__ import annotations
import __future__

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from minideeplab.grading.source import Cell, definitions

_ANNOTATIONS = __future__.annotations.compiler_flag  # types are not looked at, so need not exist


class Absent:
    """Stands for something that could not be imported; using it says why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def _refuse(self, *args: Any, **options: Any) -> Any:
        raise ImportError(self._reason)

    __call__ = __getattr__ = __getitem__ = _refuse


@contextmanager
def importable(given: ModuleType | None) -> Iterator[None]:
    """Let ``import given`` find a lesson's given.py, whichever lesson that is."""
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
    """Run a file's imports, functions, classes and constants.

    A statement that fails costs only the names that it defines.

    Args:
        cells: of the file.
        file: its name, for tracebacks.
        given: what ``import given`` finds.

    Returns:
        The names, and complaints about what failed.
    """
    statements, complaints = definitions(cells)
    names: dict[str, Any] = {"__name__": "lesson", "__file__": file}
    with importable(given):
        complaints += _execute(statements, names, file)
    return names, complaints


def _execute(statements: list[ast.stmt], names: dict[str, Any], file: str) -> list[str]:
    complaints = []
    for statement in statements:
        try:
            module = ast.Module([statement], type_ignores=[])
            code = compile(module, file, "exec", _ANNOTATIONS, dont_inherit=True)
            exec(code, names)
        except BaseException as error:  # SystemExit, too
            if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Try)):
                _bind_absent(statement, names, str(error))
                continue
            if isinstance(statement, (ast.Assign, ast.AnnAssign)):
                continue  # of a figure, as a rule; whoever needs the name will say so
            complaints.append(f"line {statement.lineno}: {type(error).__name__}: {error}")
    return complaints


def _bind_absent(statement: ast.stmt, names: dict[str, Any], reason: str) -> None:
    for node in ast.walk(statement):
        if isinstance(node, ast.alias):
            names.setdefault(node.asname or node.name.split(".")[0], Absent(reason))
