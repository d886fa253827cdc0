"""The kernels' twins in CUDA C: their sources, and how CuPy compiles and starts them.

A twin has the name and the arguments of its kernel, in the same order; an array is a pointer to its
elements. ``T`` is the type of floating-point arrays, float or double, and ``I`` that of sizes and
positions: int wherever it is enough, since a GPU divides 64-bit numbers slowly. Numba always counts
in 64 bits, so the twins should also be the faster of the two.
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
SIGNATURE = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')


def files() -> list[str]:
    """Names of all sources."""
    return sorted(path.name for path in FOLDER.glob("*.cu"))


@cache
def text(file: str) -> str:
    """The text of a file, with the helpers that all of them share in front."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in ("grid.cuh", file))


def source(file: str, dtype: str, index: str) -> str:
    """What is compiled: the types T and I, then the text of a file."""
    return f"typedef {TYPES[dtype]} T;\ntypedef {INDICES[index]} I;\n{text(file)}"


@cache
def parameters(file: str, name: str) -> list[str]:
    """The declared parameters of a kernel, such as "const T* x"."""
    declared = dict(SIGNATURE.findall(text(file)))[name]
    return [" ".join(parameter.split()) for parameter in declared.split(",")]


def floating(file: str, name: str, args: Sequence[Any]) -> str:
    """The dtype that stands for T: that of the first argument declared so, else float32."""
    for parameter, arg in zip(parameters(file, name), args, strict=True):
        if parameter.removeprefix("const ").startswith("T"):
            return str(arg.dtype)
    return "float32"


def index(args: Sequence[Any]) -> str:
    """The dtype that stands for I: int32 if all sizes leave room for a step of the grid."""
    sizes = [a.size if getattr(a, "ndim", 0) else a for a in args]
    return "int32" if all(abs(size) < 1 << 30 for size in sizes) else "int64"


def start(
    xp: Any, file: str, name: str, blocks: tuple, threads: tuple, args: Sequence[Any]
) -> None:
    """Compile ``file`` with NVRTC, once, and start the kernel ``name`` on the current stream."""
    kind = index(args)
    function = _function(xp, file, name, floating(file, name, args), kind)
    integer = np.dtype(kind).type
    function(
        blocks, threads, tuple(integer(a) if isinstance(a, int | np.integer) else a for a in args)
    )


@cache
def _function(xp: Any, file: str, name: str, dtype: str, index: str) -> Any:
    """CuPy's kernel, which loads itself once on each device."""
    return _module(xp, file, dtype, index).get_function(name)


@cache
def _module(xp: Any, file: str, dtype: str, index: str) -> Any:
    return xp.RawModule(code=source(file, dtype, index), options=OPTIONS)
