"""The process that runs a student's function and sends back what came out, and nothing else.

It reads one JSON request: the student's cells, a function's name and the cases' arguments. It
writes one line for each case. Right results never come here, so there is nothing to steal, and a
line that the student's code forges has to be right like any other.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from types import ModuleType
from typing import Any, TextIO

from minideeplab.grading import sandbox as guard
from minideeplab.grading.loading import load_definitions
from minideeplab.grading.outcome import ERROR, NOT_DONE, Outcome, run_case
from minideeplab.grading.serialization import decode_case, encode_outcome
from minideeplab.grading.source import Cell


def main() -> None:
    """Serve one request and end the process at once, whatever the student's code registered."""
    request = json.loads(sys.stdin.buffer.read())
    guard.limit(request["memory"], request["seconds"])
    answers = _take_streams()
    given = _load_given(request["given"])
    for name in request["lent"]:
        importlib.import_module(name)
    guard.close(tuple(request["lent"]))
    _serve(request, given, answers)
    os._exit(0)


def _take_streams() -> TextIO:
    """Keep the pipe to the judge for ourselves; the student's code prints into nothing."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    sys.stdin = open(os.devnull)
    return answers


def _load_given(source: str | None) -> ModuleType | None:
    if source is None:
        return None
    given = ModuleType("given")
    sys.modules["given"] = given
    exec(compile(source, "given.py", "exec"), vars(given))
    return given


def _serve(request: dict[str, Any], given: ModuleType | None, answers: TextIO) -> None:
    file = request["file"]
    names, complaints = load_definitions([Cell(**cell) for cell in request["cells"]], file, given)
    function = names.get(request["function"])
    for index, data in enumerate(request["cases"]):
        if callable(function):
            outcome = run_case(function, decode_case(data), given, file)
        else:
            outcome = _no_function(request["function"], complaints)
        line = json.dumps({"case": index, **encode_outcome(outcome)})
        answers.write(line + "\n")
        answers.flush()


def _no_function(name: str, complaints: list[str]) -> Outcome:
    """Say why there is nothing to call: it was left out, or its cell is broken."""
    if not complaints:
        return Outcome(NOT_DONE, message=f"the file has no function {name}")
    return Outcome(ERROR, error="the file", message=f"has no function {name}; {complaints[0]}")
