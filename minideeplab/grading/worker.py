"""The process that calls a student's function on a task's cases and writes the results.

It reads one JSON request (the student's cells, a function's name, the cases' arguments) and
writes one line for each case. Expected results never enter this process, so they cannot be read,
and a forged line has to be right like any other.
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
    sandbox.limit(request["memory"], request["seconds"])
    output = _take_streams()
    lent = request["allow"]
    if any(name in numba_stub.NAMES for name in lent):
        numba_stub.install()
    given = _load_given(request["given"])
    for name in lent:
        importlib.import_module(name)
    sandbox.install(tuple(lent))
    _serve(request, given, output)
    os._exit(0)


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


def _serve(request: dict[str, Any], given: ModuleType | None, output: TextIO) -> None:
    file, name = request["file"], request["function"]
    names, complaints = load_definitions([Cell(**cell) for cell in request["cells"]], file, given)
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
