"""The kernels' twins in CUDA C: their sources, and how CuPy compiles and starts them.

A twin has the name and the arguments of its kernel, in the same order: an array is a pointer to its
elements, an integer a ``long long``. ``T``, the type of the floating-point arrays, is a macro, so
a file is compiled once for float and once for double.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "kernels"
TYPES = {"float32": "float", "float64": "double"}


def files() -> list[str]:
    """Names of all sources."""
    return sorted(path.name for path in FOLDER.glob("*.cu"))


@cache
def source(file: str) -> str:
    """The text of a file, with the helpers that all of them share in front."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in ("grid.cuh", file))


def options(dtype: str) -> tuple[str, ...]:
    """What the compiler is told: the type of floating-point arrays, and C++14."""
    return (f"-DT={TYPES[dtype]}", "--std=c++14")


def floating(args: Sequence[Any]) -> str:
    """The dtype that stands for T: that of the last floating-point array, else float32."""
    found = [str(a.dtype) for a in args if getattr(a, "ndim", 0) and str(a.dtype) in TYPES]
    return found[-1] if found else "float32"


def start(
    xp: Any, file: str, name: str, blocks: tuple, threads: tuple, args: Sequence[Any]
) -> None:
    """Compile ``file`` with NVRTC, once, and start the kernel ``name`` on the current stream."""
    function = _module(xp, file, floating(args)).get_function(name)
    function(blocks, threads, tuple(np.int64(a) if isinstance(a, int) else a for a in args))


@cache
def _module(xp: Any, file: str, dtype: str) -> Any:
    return xp.RawModule(code=source(file), options=options(dtype))
