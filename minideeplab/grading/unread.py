"""What a student's function uses and the grader does not read: plots' variables, loops, calls.

The grader runs the definitions of a file alone (`loading`), the notebook runs all of it. So a
function may pass in the notebook and fail when it is graded; ``check`` says so at once.
"""

from __future__ import annotations

import ast
import dis
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from minideeplab.grading.loading import is_definition, parsed
from minideeplab.grading.outcome import cell_name
from minideeplab.grading.source import Cell, split_cells


def unread(function: Callable[..., Any]) -> dict[str, str]:
    """Return the module-level names that a function uses and the grader does not read.

    Each name has the place where it gets its value, such as "cell 9, line 4".
    """
    used = set(_used(function, set()))
    return {name: place for name, place in _skipped(cells_of(function)).items() if name in used}


def cells_of(function: Callable[..., Any]) -> list[Cell]:
    """Return the cells that a notebook has run so far, or those of a function's file."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None:
        texts = enumerate(shell.user_ns.get("In", []))
        return [Cell("code", text, 1, number) for number, text in texts if number]
    path = Path(getattr(getattr(function, "__code__", None), "co_filename", ""))
    try:
        return split_cells(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []


def _used(function: Any, seen: set[int]) -> Iterator[str]:
    """Yield the global names that a function uses, and the functions that it calls."""
    if not isinstance(function, FunctionType) or id(function) in seen:
        return
    seen.add(id(function))
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield name
            other = function.__globals__[name]
            if getattr(other, "__globals__", None) is function.__globals__:
                yield from _used(other, seen)


def _names(code: CodeType) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):  # attributes are in co_names, too
            yield step.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _skipped(cells: Sequence[Cell]) -> dict[str, str]:
    """Return the names that get their last value in a statement that the grader leaves out."""
    skipped: dict[str, str] = {}
    for cell in cells:
        for statement in parsed(cell, []) if cell.kind == "code" else ():
            bound = set(_bound(statement))
            if is_definition(statement) and not _needs(statement, skipped):
                skipped = {name: place for name, place in skipped.items() if name not in bound}
            else:
                place = f"{cell_name(cell.number)}line {statement.lineno}"
                skipped |= dict.fromkeys(bound, place)
    return skipped


def _needs(statement: ast.stmt, skipped: dict[str, str]) -> bool:
    """Tell whether an assignment is made of names that are not read."""
    if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
        return False
    if isinstance(statement.value, ast.Lambda):
        return False
    return any(isinstance(n, ast.Name) and n.id in skipped for n in ast.walk(statement.value))


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement gives a value, those inside of functions apart."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
        return
    if isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    if not isinstance(node, (ast.Lambda, ast.comprehension)):
        for child in ast.iter_child_nodes(node):
            yield from _bound(child)
