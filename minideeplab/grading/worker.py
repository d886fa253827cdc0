"""The process that calls a student's function on a task's cases and writes the results.

`main` reads one JSON request (the student's cells, a function's name, the cases' arguments) and
writes one line for each case; `converse` reads the cells once, then requests line by line.
Expected results never enter this process, so they cannot be read, and a forged line has to be right
like any other.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from types import ModuleType
from typing import Any, TextIO

from minideeplab.grading import numba_stub, sandbox
from minideeplab.grading.loading import load_definitions
from minideeplab.grading.outcome import ERROR, NOT_DONE, Outcome, run_case
from minideeplab.grading.serialization import decode_case, encode_outcome
from minideeplab.grading.source import Cell


def main() -> None:
    """Serve one request, then end the process without running exit handlers."""
    request = json.loads(sys.stdin.buffer.read())
    given, output = _enter_sandbox(request)
    loaded = _load_cells(request, given)
    _serve(loaded, request, request["file"], given, output)
    os._exit(0)


def converse() -> None:
    """Load a student's cells, then answer the cases of each line until the pipe is closed."""
    lines = os.fdopen(os.dup(0), "rb")
    request = json.loads(lines.readline())
    given, output = _enter_sandbox(request)
    loaded = _load_cells(request, given)
    for line in lines:
        _serve(loaded, json.loads(line), request["file"], given, output)
    os._exit(0)


def _enter_sandbox(request: dict[str, Any]) -> tuple[ModuleType | None, TextIO]:
    """Limit this process; return the lesson's given.py and the pipe to the judge."""
    sandbox.limit(request["memory"], request["seconds"])
    output = _take_streams()
    lent = request["allow"]
    if any(name in numba_stub.NAMES for name in lent):
        numba_stub.install()
    given = _load_given(request["given"])
    for name in lent:
        importlib.import_module(name)
    sandbox.install(tuple(lent))
    return given, output


def _take_streams() -> TextIO:
    """Return the pipe to the judge, and point the student's stdin, stdout, stderr to nothing."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    sys.stdin = open(os.devnull)
    return output


def _load_given(source: str | None) -> ModuleType | None:
    if source is None:
        return None
    given = ModuleType("given")
    sys.modules["given"] = given
    exec(compile(source, "given.py", "exec"), vars(given))
    return given


def _load_cells(
    request: dict[str, Any], given: ModuleType | None
) -> tuple[dict[str, Any], list[str]]:
    return load_definitions([Cell(**cell) for cell in request["cells"]], request["file"], given)


def _serve(
    loaded: tuple[dict[str, Any], list[str]], request: dict[str, Any], file: str,
    given: ModuleType | None, output: TextIO,
) -> None:  # fmt: skip
    """Call the request's function on its cases and write a line for each."""
    names, complaints = loaded
    name = request["function"]
    function = names.get(name)
    if complaints:
        missing = Outcome(
            ERROR, error="the file", message=f"has no function {name}; {complaints[0]}"
        )
    else:
        missing = Outcome(NOT_DONE, message=f"the file has no function {name}")
    for index, data in enumerate(request["cases"]):
        case = decode_case(data)
        outcome = run_case(function, case, given, file) if callable(function) else missing
        output.write(json.dumps({"case": index, **encode_outcome(outcome)}) + "\n")
        output.flush()
