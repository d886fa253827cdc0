"""A launch for kernels written with Numba CUDA that needs no GPU and forgives nothing.

It notes what the kernels write: a result has to come from one of them (`origin`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minideeplab.testing import simt

_LAUNCHES: list[tuple[list[np.ndarray], list[np.ndarray]]] = []
"""Of each launch since `origin` was asked: the arrays before it, and those that it changed."""


def launch(kernel: Callable[..., None], blocks: int, threads: int, *args: Any) -> None:
    """Run a kernel on so many blocks of so many threads; arrays in ``args`` are written to.

    Raises:
        RuntimeError: the kernel has a race, leaves an array, or waits where others do not.
    """
    arrays = [array for array in args if isinstance(array, np.ndarray)]
    before = [array.copy() for array in arrays]
    problems = simt.check(kernel, blocks, threads, args)
    if problems:
        raise RuntimeError("; ".join(map(str, problems)))
    pairs = zip(arrays, before, strict=True)
    _LAUNCHES.append((before, [a.copy() for a, old in pairs if not np.array_equal(a, old)]))


def origin(result: Any, arguments: Sequence[Any]) -> str:
    """Return "a kernel" if one of the launches since the last call wrote the result, else "".

    A result that was there before its launch is none of the kernel's, unless it is an argument.
    """
    launches = _LAUNCHES.copy()
    _LAUNCHES.clear()
    for before, changed in launches:
        there = [a for a in before if not any(np.array_equal(a, given) for given in arguments)]
        copied = any(_begins_with(array, result) for array in there)
        if not copied and any(_begins_with(array, result) for array in changed):
            return "a kernel"
    return ""


def _begins_with(array: np.ndarray, result: Any) -> bool:
    """Tell whether the result is an array, or its first entries."""
    flat = np.ravel(result)
    return bool(flat.size) and np.array_equal(array.ravel()[: flat.size], flat)
