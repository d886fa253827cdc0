"""Run a student's function in a separate process with a timeout and resource limits."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import minideeplab
from minideeplab.grading.judge import CRASH, TIME_OUT
from minideeplab.grading.messages import bare
from minideeplab.grading.model import Case, Lesson, Task
from minideeplab.grading.outcome import ERROR, MISSING, Outcome
from minideeplab.grading.serialization import decode_outcome, encode_case
from minideeplab.grading.source import Cell

MEMORY = 2048
"""Default memory limit of a task, MiB; Python and NumPy take about 200."""

PATIENCE = 3.0
"""Wall-clock seconds allowed for each second of processor time, since the machine may be busy."""

LONGEST = 16 * 2**20
"""Bytes of output that are read; the results of every task are far smaller."""

# The worker runs the same copy of this package as its parent, whatever else is installed.
_START = (
    "import sys; sys.path.insert(0, {root!r}); import minideeplab; "
    "sys.path.append(sys.path.pop(0)); from minideeplab.grading.worker import {entry} as run; run()"
)
_LAYERS = (
    "import sys; sys.path.insert(0, {root!r}); from minideeplab.grading import sandbox; "
    "print(*sandbox.install(()))"
)
_KEPT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "NUMBA_ENABLE_CUDASIM")


@functools.cache
def sandbox_layers() -> tuple[str, ...]:
    """Return the layers with which the kernel restricts a task's process; () outside Linux.

    The Python layer of `sandbox` is there on every system.
    """
    run = subprocess.run(
        [sys.executable, "-I", "-c", _LAYERS.format(root=_root())],
        capture_output=True, text=True, env=_environment(tempfile.gettempdir()),
    )  # fmt: skip
    return tuple(run.stdout.split())


def _root() -> str:
    return str(Path(minideeplab.__file__).resolve().parents[1])


def run_apart(
    lesson: Lesson, task: Task, cells: Sequence[Cell], file: str,
    memory: int = MEMORY, seconds: float | None = None,
) -> tuple[list[Outcome], str]:  # fmt: skip
    """Return a student's results on all cases of a task, computed in a separate process.

    Args:
        lesson: where the task is from.
        task: the task.
        cells: of the student's file.
        file: its name, for the lines of errors.
        memory: limit of the process, MiB.
        seconds: processor time for all cases together; by default the task's own limit.

    Returns:
        An outcome for each case, and why the process was stopped, as `judge` wants it.
    """
    seconds = task.seconds if seconds is None else seconds

    def run(cases: Sequence[Case]) -> tuple[list[Outcome], int | None]:
        request = _request(lesson, task, cases, cells, file, memory, seconds)
        with tempfile.TemporaryDirectory() as folder:
            output, ended = _run(request, folder, seconds)
        return _outcomes(output, len(cases)), ended

    outcomes, ended = run(task.cases)
    # Words of this process may hold hidden inputs; those of one with visible cases only cannot.
    if any(outcome.kind == MISSING for outcome in outcomes):
        return [bare(one, lesson, task, cells) for one in outcomes], _reason(ended, seconds)
    shown = [case for case in task.cases if case.shown]
    pairs = list(zip(task.cases, outcomes, strict=True))
    raised = any(one.kind == ERROR for case, one in pairs if case.shown)
    again = dict(zip(shown, run(shown)[0], strict=True)) if raised else {}
    return [
        again[case] if case in again and again[case].kind == one.kind == ERROR
        else bare(one, lesson, task, cells)
        for case, one in pairs
    ], ""  # fmt: skip


def _request(
    lesson: Lesson, task: Task, cases: Sequence[Case], cells: Sequence[Cell], file: str,
    memory: int, seconds: float,
) -> bytes:  # fmt: skip
    given = lesson.folder / "given.py"
    return json.dumps(
        {
            "cells": [asdict(cell) for cell in cells],
            "file": file,
            "function": task.function,
            "cases": [encode_case(case) for case in cases],
            "given": given.read_text(encoding="utf-8") if given.is_file() else None,
            "allow": list(lesson.about.allow),
            "memory": memory,
            "seconds": seconds,
        }
    ).encode()


def _run(request: bytes, folder: str, seconds: float) -> tuple[bytes, int | None]:
    """Return the output of the process, and its exit status, None after a timeout."""
    process = start_worker(folder)
    output: list[bytes] = []
    reader = threading.Thread(target=_read, args=(process.stdout, output), daemon=True)
    writer = threading.Thread(target=_write, args=(process.stdin, request), daemon=True)
    reader.start()
    writer.start()
    try:
        status: int | None = process.wait(PATIENCE * seconds)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        kill(process)
    reader.join(1.0)
    return b"".join(output), status


def start_worker(folder: str, entry: str = "main") -> subprocess.Popen[bytes]:
    """Start a sandboxed process, in an empty folder, that runs a function of `grading.worker`."""
    return subprocess.Popen(
        [sys.executable, "-I", "-c", _START.format(root=_root(), entry=entry)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        cwd=folder, env=_environment(folder), start_new_session=os.name == "posix",
    )  # fmt: skip


def _environment(folder: str) -> dict[str, str]:
    """Return a minimal environment: none of the caller's variables, one thread."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    threads = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    kept["MINIDEEPLAB_DETECT_CHANGES"] = "1"  # an array changed too early is named, not hidden
    return kept | dict.fromkeys(threads, "1") | dict.fromkeys(("HOME", "TMP", "TEMP"), folder)


def _read(stream: IO[bytes], output: list[bytes]) -> None:
    """Collect the output up to `LONGEST` bytes; closing the pipe then stops the process."""
    total = 0
    with stream:
        while total < LONGEST and (piece := stream.read1(65536)):  # type: ignore[attr-defined]
            output.append(piece)
            total += len(piece)


def _write(stream: IO[bytes], request: bytes) -> None:
    try:
        with stream:
            stream.write(request)
    except OSError:  # the process ended before it had read all
        return


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its children."""
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    else:
        process.kill()
    process.wait()


def _outcomes(output: bytes, count: int) -> list[Outcome]:
    """Parse the lines: unreadable ones are dropped, and the first one for a case counts."""
    found: dict[int, Outcome] = {}
    for line in output.decode("utf-8", "replace").splitlines():
        try:
            index, outcome = decode_outcome(line)
        except ValueError:
            continue
        found.setdefault(index, outcome)
    return [found.get(index, Outcome(MISSING)) for index in range(count)]


def _reason(status: int | None, seconds: float) -> str:
    if status is None or (status < 0 and -status == getattr(signal, "SIGXCPU", 0)):
        return f"{TIME_OUT}: no answer within {seconds:g} s of computing; does a loop never end?"
    if status < 0:
        name = signal.Signals(-status).name if -status in _SIGNALS else str(-status)
        return f"{CRASH}: the process was killed by {name}; was it out of memory?"
    return f"{CRASH}: the process ended before the answer (exit status {status})"


_SIGNALS: set[Any] = {int(number) for number in signal.Signals}
