"""The registry of backends: modules that export every name of `minideeplab.ops`.

"numpy" is `minideeplab.ops` itself, the definitions; "numba" is compiled code for CPUs; "cuda" is
for NVIDIA GPUs. A backend changes the speed, never the meaning. A backend that cannot be loaded is
an error; no other takes its place. The environment variable MINIDEEPLAB_BACKEND names the default.

To add a backend, write a module that starts with ``from minideeplab.ops import *`` and overrides
what it computes faster, and add its line to `MODULES`.
"""

from __future__ import annotations

import importlib
import os
from contextvars import ContextVar
from functools import cache
from types import ModuleType
from typing import Any

from minideeplab import ops
from minideeplab.arrays import to_host

MODULES = {
    "numpy": "minideeplab.ops",
    "numba": "minideeplab.backends.numba_cpu",
    "cuda": "minideeplab.backends.cuda.backend",
}
DEFAULT = "numba"
VARIABLE = "MINIDEEPLAB_BACKEND"
DEVICES = ("cpu", "cuda")

_selected: ContextVar[ModuleType | None] = ContextVar("selected_backend", default=None)


@cache
def load(name: str) -> ModuleType:
    """The module of a backend. ValueError for an unknown name, ImportError if it cannot run here.

    A backend that needs more than imports (a device) checks that in its own module when it is
    imported, and raises ImportError with the reason. A module that lacks names of `ops` cannot run
    either; the error lists them.
    """
    if name not in MODULES:
        raise ValueError(f"backend: got {name!r}, expected one of {', '.join(map(repr, MODULES))}")
    try:
        module = importlib.import_module(MODULES[name])
    except Exception as error:
        raise ImportError(f"backend {name!r} cannot be used here: {error}") from error
    return complete(module, name)


def complete(module: ModuleType, name: str = "") -> ModuleType:
    """The module itself; ImportError with the names of `ops` that it lacks as a backend."""
    if missing := sorted(set(ops.__all__) - vars(module).keys()):
        name = name or module.__name__
        raise ImportError(f"backend {name!r} lacks names of minideeplab.ops: {', '.join(missing)}")
    return module


def current_name() -> str:
    """The name of the backend in use, to hand to threads and processes, which do not inherit it."""
    module = current().__name__
    for name, path in MODULES.items():
        if path == module:
            return name
    raise ValueError(f"backend: {module} is a module without a name, expected one of {[*MODULES]}")


def available_backends() -> list[str]:
    """Names of the backends that work on this machine, found by loading them."""
    return [name for name in MODULES if _works(name)]


def _works(name: str) -> bool:
    try:
        load(name)
    except ImportError:
        return False
    return True


def current() -> ModuleType:
    """The backend in use: the innermost `use_backend`, else the default."""
    return _selected.get() or _default()


@cache
def _default() -> ModuleType:
    name = os.environ.get(VARIABLE) or DEFAULT
    if name not in MODULES:
        expected = ", ".join(map(repr, MODULES))
        raise ValueError(f"environment variable {VARIABLE}: got {name!r}, expected {expected}")
    return load(name)


class use_backend:
    """Select a backend: in a ``with`` block until its end, as a plain call from now on.

    A backend is named, or is a module itself, with every name of `minideeplab.ops`. The choice
    holds for the current thread (or asyncio task) only. Raises ValueError for an unknown name, and
    ImportError, with the reason, for a backend that cannot run here.
    """

    def __init__(self, backend: str | ModuleType):
        module = load(backend) if isinstance(backend, str) else complete(backend)
        self._module, self._previous = module, _selected.get()
        _selected.set(self._module)

    def __enter__(self) -> ModuleType:
        _selected.set(self._module)
        return self._module

    def __exit__(self, *exception: object) -> None:
        _selected.set(self._previous)


def to(array: Any, device: str) -> Any:
    """The array on "cpu" or "cuda", itself if it is there. Under Numba's simulator both are NumPy.

    Raises ValueError for another device, and ImportError, with the reason, if the "cuda" backend
    cannot run here.
    """
    if device not in DEVICES:
        raise ValueError(f"device: got {device!r}, expected 'cpu' or 'cuda'")
    return to_host(array) if device == "cpu" else load("cuda").to_device(array)
