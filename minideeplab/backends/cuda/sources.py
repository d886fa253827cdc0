"""CUDA C sources of the kernels, compiled with NVRTC and launched by CuPy.

A CUDA C kernel has the name and the arguments of its Numba CUDA kernel, in the same order; an array
is a pointer to its elements. ``T`` is the type of floating-point arrays, float or double. ``I`` is
the type of sizes and indices: int wherever it is large enough, because GPUs divide 64-bit integers
slowly. Numba always uses 64-bit indices.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "kernels"
TYPES = {"float32": "float", "float64": "double"}
INDICES = {"int32": "int", "int64": "long long"}
OPTIONS = ("--std=c++17",)
SIGNATURE = re.compile(r"KERNEL (\w+)\(([^)]*)\)")


def files() -> list[str]:
    """Names of all CUDA C files."""
    return sorted(path.name for path in FOLDER.glob("*.cu"))


@cache
def text(file: str) -> str:
    """The text of a file, behind the helpers that all files share."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in ("grid.cuh", file))


def source(file: str, dtype: str, index: str) -> str:
    """The source that is compiled: typedefs of T and I, then the text of a file."""
    return f"typedef {TYPES[dtype]} T;\ntypedef {INDICES[index]} I;\n{text(file)}"


@cache
def parameters(file: str, name: str) -> list[str]:
    """The declared parameters of a kernel, such as "const T* x"."""
    declared = dict(SIGNATURE.findall(text(file)))[name]
    return [" ".join(parameter.split()) for parameter in declared.split(",")]


def floating(file: str, name: str, args: Sequence[Any]) -> str:
    """The dtype of T: that of the first argument declared with it, else float32."""
    for parameter, arg in zip(parameters(file, name), args, strict=True):
        if parameter.removeprefix("const ").startswith("T"):
            return str(arg.dtype)
    return "float32"


def index(args: Sequence[Any]) -> str:
    """The dtype of I: int32 if sizes plus one step of the grid cannot overflow it."""
    sizes = [a.size if getattr(a, "ndim", 0) else a for a in args]
    return "int32" if all(abs(size) < 1 << 30 for size in sizes) else "int64"


def start(
    xp: Any, file: str, name: str, blocks: tuple, threads: tuple, args: Sequence[Any]
) -> None:
    """Launch the kernel ``name`` of ``file``, compiled once, on the current stream."""
    kind = index(args)
    integer = np.dtype(kind).type
    args = tuple(integer(a) if isinstance(a, int | np.integer) else a for a in args)
    _function(xp, file, name, floating(file, name, args), kind)(blocks, threads, args)


@cache
def _function(xp: Any, file: str, name: str, dtype: str, index: str) -> Any:
    """The kernel as an object of CuPy, which loads it once on each device."""
    return _module(xp, file, dtype, index).get_function(name)


@cache
def _module(xp: Any, file: str, dtype: str, index: str) -> Any:
    return xp.RawModule(code=source(file, dtype, index), options=OPTIONS)
