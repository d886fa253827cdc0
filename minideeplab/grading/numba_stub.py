"""Stand-in for Numba while a task is judged: its names without its compiler.

Numba brings ctypes, and with it every function of the system, so a student's code does not get it.
``njit`` and the like return the function as it is, which computes the same more slowly, and
``cuda`` has the names that the race checker (`minideeplab.testing.simt`) replaces in a kernel.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

NAMES = ("numba", "numba.cuda")
"""Modules that `install` makes."""

_DTYPES = (
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
    "complex64", "complex128",
)  # fmt: skip


def same(*args: Any, **options: Any) -> Any:
    """Return the function itself: a decorator with or without options, such as ``njit``."""
    if args and callable(args[0]) and not isinstance(args[0], type):
        return args[0]
    return lambda function: function


def _on_device(*args: Any, **options: Any) -> Any:
    raise RuntimeError("this belongs inside a kernel that launch() runs")


class _Place:
    """``cuda.threadIdx`` and the like outside a kernel."""

    x = y = z = property(_on_device)


class Type:
    """Base of Numba's types; here types are NumPy's, so nothing is an instance."""


def install() -> None:
    """Put the stand-in into ``sys.modules``."""
    numba, cuda = (ModuleType(name, "Names of Numba without its compiler.") for name in NAMES)
    types = {name: getattr(np, name) for name in _DTYPES} | {"boolean": np.bool_, "Type": Type}
    vars(numba).update(types, types=SimpleNamespace(**types), cuda=cuda, prange=range)
    vars(numba).update(dict.fromkeys(("jit", "njit", "vectorize", "guvectorize"), same))
    arrays = SimpleNamespace(array=_on_device)
    atomic = dict.fromkeys(("add", "max", "min", "exch", "cas"), _on_device)
    vars(cuda).update(
        jit=same, grid=_on_device, gridsize=_on_device, syncthreads=_on_device,
        threadIdx=_Place(), blockIdx=_Place(), blockDim=_Place(), gridDim=_Place(),
        shared=arrays, local=arrays, atomic=SimpleNamespace(**atomic),
    )  # fmt: skip
    sys.modules.update(zip(NAMES, (numba, cuda), strict=True))
