"""A fence around a student's code: no files, no processes, no network, no borrowed answers.

Python's audit hooks cannot be taken out again, so the fence stands however the code patches the
modules around it. It is a fence and no wall: code that breaks the interpreter's memory gets over
it. Run answers of people you do not trust in a container (see ``lessons/README.md``).

`close` uses nothing but C functions and its own variables, because whatever it looked up at the
time of a call could have been replaced by then.
"""

from __future__ import annotations

import math
import os
import sys
import sysconfig
from typing import Any

import numpy as np

DENIED = (
    "ctypes.", "code.", "gc.", "msvcrt.", "os.", "pty.", "resource.", "shutil.", "signal.",
    "socket.", "sqlite3.", "subprocess.", "syslog.", "tempfile.", "webbrowser.", "winreg.",
    "_winapi.", "urllib.", "ftplib.", "http.", "smtplib.", "sys.settrace", "sys.setprofile",
    "sys._current_frames", "sys.monitoring", "mmap.", "fcntl.", "builtins.breakpoint",
    "builtins.input",
)  # fmt: skip
"""Beginnings of the names of audit events (Python's documentation lists them)."""

LISTING = ("os.listdir", "os.scandir")
"""What importing does; allowed where reading is."""

NATIVE_NEEDS = ("ctypes.", "code.", "os.putenv", "os.unsetenv")
"""What compilers such as Numba's do all the time."""

UNSAFE_MODULES = (
    "_ctypes", "_posixsubprocess", "_socket", "_sqlite3", "_winapi", "ctypes", "multiprocessing",
    "socket", "sqlite3", "subprocess",
)  # fmt: skip


def limit(memory: int, seconds: float) -> None:
    """Limit this process' memory, in MiB, and processor time; nothing where there is no `resource`.

    Windows has no such limits: there only the clock stops a task.
    """
    try:
        import resource
    except ImportError:
        return
    size, time = memory * 2**20, math.ceil(seconds)
    for what, soft, hard in (
        (resource.RLIMIT_AS, size, size),
        (resource.RLIMIT_CPU, time, time + 1),  # SIGXCPU first, which says why
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
    ):
        try:
            resource.setrlimit(what, (soft, hard))
        except (ValueError, OSError):  # macOS does not limit address space
            continue


def close(lent: tuple[str, ...]) -> None:
    """Close the fence for the rest of this process.

    Args:
        lent: modules that may be imported besides NumPy and Python's own; loaded already.
    """
    native = "numba" in lent
    readable = _readable()
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__))).replace("\\", "/") + "/"
    importable = frozenset(sys.stdlib_module_names) | {"numpy"} | {
        name.partition(".")[0] for name in lent if not name.startswith("minideeplab")
    }  # fmt: skip
    unsafe = frozenset() if native else frozenset(UNSAFE_MODULES)
    kind, text, string, whole = type, str.replace, str, int
    denied, listing, needs = DENIED, LISTING, NATIVE_NEEDS
    refusal, missing = PermissionError, ModuleNotFoundError
    writing, flags = ("w", "a", "x", "+"), os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            name = args[0]
            top = name.partition(".")[0]
            if top not in importable or top in unsafe:
                raise missing(f"{name} is not lent to tasks; write it with NumPy")
        elif event == "open" or event in listing:
            path = args[0]
            if kind(path) is whole:
                return
            if event == "open":
                mode, bits = args[1], args[2]
                for letter in writing:
                    if kind(mode) is string and letter in mode:
                        raise refusal("writing files is not allowed while a task is judged")
                if kind(bits) is whole and bits & flags:
                    raise refusal("writing files is not allowed while a task is judged")
            plain = text(path, "\\", "/") if kind(path) is string else ""
            inside = plain.startswith(readable) and not plain.startswith(own)
            if not inside or "/../" in plain:
                raise refusal("reading files is not allowed while a task is judged")
        elif event == "object.__setattr__":
            if args[1] in ("__code__", "__closure__", "__globals__"):
                raise refusal("changing a function's code is not allowed while a task is judged")
        elif event.startswith(denied) and not (native and event.startswith(needs)):
            raise refusal(f"{event} is not allowed while a task is judged")

    sys.addaudithook(hook)


def _readable() -> tuple[str, ...]:
    """Return the folders of Python's own modules, of NumPy and its neighbours, with a slash."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths.add(os.path.dirname(os.path.dirname(np.__file__)))
    paths.add(os.path.join(sys.base_prefix, "DLLs"))  # of Windows
    both = {path for p in paths if p for path in (os.path.abspath(p), os.path.realpath(p))}
    return tuple(sorted(path.replace("\\", "/").rstrip("/") + "/" for path in both))
