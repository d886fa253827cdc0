"""A launch for kernels written with Numba CUDA that needs no GPU and forgives nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minideeplab.testing import simt


def launch(kernel: Callable[..., None], blocks: int, threads: int, *args: Any) -> None:
    """Run a kernel on so many blocks of so many threads; arrays in ``args`` are written to.

    Raises:
        RuntimeError: the kernel has a race, leaves an array, or waits where others do not.
    """
    problems = simt.check(kernel, blocks, threads, args)
    if problems:
        raise RuntimeError("; ".join(map(str, problems)))
