"""Call a student's functions one after another in one sandboxed process."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from minideeplab.grading.model import Case, Lesson
from minideeplab.grading.outcome import NOT_DONE, VALUE
from minideeplab.grading.process import LONGEST, MEMORY, PATIENCE, kill, start_worker
from minideeplab.grading.serialization import decode_outcome, encode_case
from minideeplab.grading.source import Cell


class CallFailed(Exception):
    """A student's function raised an error, returned something else, or was stopped."""


class Calls:
    """A process with a student's cells: ``calls("conv2d", x, w)`` returns what theirs returns.

    Args:
        lesson: whose given.py and allowed modules the process gets.
        cells: of the student's file.
        file: its name, for the lines of errors.
        seconds: processor time of all calls.
        memory: limit of the process, MiB.
    """

    def __init__(
        self, lesson: Lesson, cells: Sequence[Cell], file: str, seconds: float, memory: int = MEMORY
    ) -> None:
        given = lesson.folder / "given.py"
        self._seconds = seconds
        self._folder = tempfile.TemporaryDirectory()
        self._process = start_worker(self._folder.name, "converse")
        self._opening: dict[str, Any] = {  # sent before the first call
            "cells": [asdict(cell) for cell in cells],
            "file": file,
            "given": given.read_text(encoding="utf-8") if given.is_file() else None,
            "allow": list(lesson.about.allow),
            "memory": memory,
            "seconds": seconds,
        }

    def __call__(self, function: str, *args: Any) -> Any:
        """Return the result of a function on arguments of the kinds that cases have.

        Raises:
            CallFailed: it raised an error, or the process ended or exceeded its time.
        """
        return self.each(function, [args])[0]

    def each(self, function: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Return the results of several calls of a function; CallFailed as for one."""
        cases = [encode_case(Case(function, args)) for args in calls]
        requests = [{"function": function, "cases": cases}]
        if self._opening:
            requests.insert(0, self._opening)
            self._opening = {}
        lines = self._exchange(requests, len(calls))
        return [self._value(number, line) for number, line in enumerate(lines)]

    def _value(self, number: int, line: bytes) -> Any:
        try:
            index, outcome = decode_outcome(line.decode("utf-8", "replace"))
        except ValueError:
            try:
                status = self._process.wait(1.0 if not line else 0.0)  # no line: it is ending
                why = f"the process ended ({status})"
            except subprocess.TimeoutExpired:
                why = "no answer"
            raise CallFailed(f"{why}; it has {self._seconds:g} s of processor time") from None
        if index != number or outcome.kind != VALUE:
            what = "not done" if outcome.kind == NOT_DONE else outcome.error or "out of turn"
            raise CallFailed(f"{what}: {outcome.message}")
        return outcome.value

    def _exchange(self, requests: list[dict[str, Any]], answers: int) -> list[bytes]:
        """Write lines and read the answers; the process is killed if they take too long."""
        timer = threading.Timer(PATIENCE * self._seconds, kill, [self._process])
        timer.start()
        try:
            for request in requests:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            return [self._process.stdout.readline(4 * LONGEST) for _ in range(answers)]
        except OSError:  # the process is gone
            return [b""] * answers
        finally:
            timer.cancel()

    def close(self) -> None:
        """End the process."""
        kill(self._process)
        for stream in (self._process.stdin, self._process.stdout):
            try:
                stream.close()
            except OSError:  # unwritten data of a process that is gone
                continue
        self._folder.cleanup()
