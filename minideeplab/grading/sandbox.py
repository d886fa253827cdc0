"""Best-effort sandbox for a student's code: no files, processes, network or other libraries.

On Linux the kernel enforces it (`fence`) where it can. Everywhere Python's audit hooks do, which
cannot be removed once installed; code that corrupts the interpreter's memory can escape these. Run
code of people you do not trust in a container (see ``lessons/README.md``).

The hook uses only C functions and its own variables, because the student's code could replace any
name that the hook looked up at call time.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
import sysconfig
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from minideeplab.grading.fence import restrict

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

UNSAFE_MODULES = (
    "_ctypes", "_curses", "_dbm", "_gdbm", "_interpchannels", "_interpqueues", "_interpreters",
    "_multiprocessing", "_posixshmem", "_posixsubprocess", "_remote_debugging", "_socket",
    "_sqlite3", "_ssl", "_testcapi", "_testinternalcapi", "_tkinter", "_winapi",
    "_xxinterpchannels", "_xxsubinterpreters", "ctypes", "multiprocessing", "readline", "socket",
    "sqlite3", "ssl", "subprocess", "tkinter",
)  # fmt: skip
"""Modules that call the system natively, or whose interpreters have no audit hooks."""

UNSAFE_FUNCTIONS = (
    "mkfifo", "mknod", "memfd_create", "pidfd_open", "setns", "setpriority", "unshare", "nice",
    "sched_setaffinity", "setuid", "setgid", "abort",
)  # fmt: skip
"""Functions of ``os`` that raise no audit event; they are removed from the module."""

USUAL = ("bz2", "decimal", "fractions", "hashlib", "lzma", "random", "zlib")
"""Modules that need libraries of the system, imported before its files are refused."""


@dataclass(frozen=True)
class Places:
    """Folders that imports need: ``code`` may be read, ``holders`` only listed.

    ``holders`` are within the standard library's folder, so they are excepted from ``code``.
    """

    code: tuple[str, ...]
    packages: tuple[str, ...]
    holders: tuple[str, ...]


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


def install(allow: tuple[str, ...]) -> list[str]:
    """Install the sandbox for the rest of this process and return the kernel's layers in it.

    Args:
        allow: modules that may be imported besides NumPy and the standard library; already loaded.
    """
    for name in USUAL:
        importlib.import_module(name)
    places = _places(allow)
    layers = restrict(_files(places), [*places.code, *places.holders])
    _remove_unsafe()
    sys.dont_write_bytecode = True
    sys.addaudithook(_hook(allow, places))
    return layers


def _hook(allow: tuple[str, ...], places: Places) -> Any:
    """Return the audit hook."""
    code, packages, holders = (
        tuple(path.replace("\\", "/").rstrip("/") + "/" for path in paths)
        for paths in (places.code, places.packages, places.holders)
    )
    importable = frozenset(sys.stdlib_module_names) | {"numpy"} | {
        name.partition(".")[0] for name in allow if not name.startswith("minideeplab")
    }  # fmt: skip
    unsafe = frozenset(UNSAFE_MODULES)
    kind, text, string, whole = type, str.replace, str, int
    denied, listing, odd = DENIED, LISTING, ("//", "/./", "/../")
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
            plain = text(path, "\\", "/") + "/" if kind(path) is string else ""
            inside = plain.startswith(packages) or (
                not plain.startswith(holders) and plain.startswith(code)
                if event == "open"
                else plain.startswith(holders) or plain.startswith(code)
            )
            if not inside or odd[0] in plain or odd[1] in plain or odd[2] in plain:
                raise refusal("reading files is not allowed while a task is judged")
        elif event == "object.__setattr__":
            if args[1] in ("__code__", "__closure__", "__globals__"):
                raise refusal("changing a function's code is not allowed while a task is judged")
        elif event.startswith(denied):
            raise refusal(f"{event} is not allowed while a task is judged")

    return hook


def _places(allow: tuple[str, ...]) -> Places:
    code = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    code.add(os.path.join(sys.base_prefix, "DLLs"))  # of Windows
    holders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    holders |= {os.path.join(path, name) for path in code for name in _PACKAGES}
    packages = set()
    for name in {"numpy", *(name.partition(".")[0] for name in allow)} - {"minideeplab"}:
        spec = importlib.import_module(name).__spec__  # None of a stand-in such as Numba's
        if spec is not None and spec.origin is not None:
            single = not spec.submodule_search_locations
            path = spec.origin if single else os.path.dirname(spec.origin)
            packages |= {path, path + ".libs"}
            holders.add(os.path.dirname(path))
    return Places(_real(code), _real(packages), _real(holders))


_PACKAGES = ("site-packages", "dist-packages")


def _real(paths: set[str]) -> tuple[str, ...]:
    return tuple(sorted({f(path) for path in paths for f in (os.path.abspath, os.path.realpath)}))


def _files(places: Places) -> list[str]:
    """Return what may be read, without the folders of installed packages within it."""
    found = list(places.packages)
    for folder in filter(os.path.isdir, places.code):
        inside = (os.path.join(folder, name) for name in os.listdir(folder))
        found += [path for path in inside if path not in places.holders]
    return found


def _remove_unsafe() -> None:
    """Take native calls out of the loaded modules, so that importing them raises an event."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in UNSAFE_MODULES:
            del sys.modules[name]
            continue
        for key, value in list(vars(module).items()):
            if isinstance(value, ModuleType) and value.__name__ in UNSAFE_MODULES:
                setattr(module, key, None)
    for name in set(sys.builtin_module_names) - set(UNSAFE_MODULES):
        importlib.import_module(name)
    # It makes modules again, complete and without an audit event.
    vars(importlib.import_module("_imp"))["create_builtin"] = None
    for module in (os, importlib.import_module(os.name)):
        for name in UNSAFE_FUNCTIONS:
            vars(module).pop(name, None)
