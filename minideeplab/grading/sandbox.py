"""Best-effort sandbox for a student's code: no files, processes, network or other libraries.

It is not a security boundary: code that corrupts the interpreter's memory can escape it. Run code
of people you do not trust in a container (see ``lessons/README.md``).

The sandbox is an audit hook, which Python cannot remove once it is installed. The hook uses only C
functions and its own variables, because the student's code could replace any name that the hook
looked up at call time.
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
"""Prefixes of the audit events that are refused (Python's documentation lists all events)."""

LISTING = ("os.listdir", "os.scandir")
"""Events of importing modules; allowed in the folders that may be read."""

NATIVE_NEEDS = ("ctypes.", "code.", "os.putenv", "os.unsetenv")
"""Events of compilers such as Numba's."""

UNSAFE_MODULES = (
    "_ctypes", "_posixsubprocess", "_socket", "_sqlite3", "_winapi", "ctypes", "multiprocessing",
    "socket", "sqlite3", "subprocess",
)  # fmt: skip


def limit(memory: int, seconds: float) -> None:
    """Limit this process' memory, in MiB, and its processor time.

    Windows has no such limits: there a task is stopped by the wall-clock timeout alone.
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


def install(allow: tuple[str, ...]) -> None:
    """Install the sandbox for the rest of this process.

    Args:
        allow: modules that may be imported besides NumPy and the standard library; already loaded.
    """
    native = "numba" in allow
    readable = _readable()
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__))).replace("\\", "/") + "/"
    importable = frozenset(sys.stdlib_module_names) | {"numpy"} | {
        name.partition(".")[0] for name in allow if not name.startswith("minideeplab")
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
                raise missing(f"{name} is not available to tasks; write it with NumPy")
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
    """Return the folders of the standard library and of site-packages, each with a final slash."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths.add(os.path.dirname(os.path.dirname(np.__file__)))
    paths.add(os.path.join(sys.base_prefix, "DLLs"))  # of Windows
    both = {path for p in paths if p for path in (os.path.abspath(p), os.path.realpath(p))}
    return tuple(sorted(path.replace("\\", "/").rstrip("/") + "/" for path in both))
