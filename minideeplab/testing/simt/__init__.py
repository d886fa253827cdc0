"""A race checker for Numba CUDA kernels that needs no GPU: races, bounds, barriers, first reads.

    problems = simt.check(kernel, blocks=2, threads=4, args=(x, y, x.size))

runs a Numba CUDA kernel as plain Python, one thread after the other, and logs every memory access
with its block, thread and "epoch", the number of barriers that the block has passed. Problems are
found from the log, whether or not they change the result in this order of threads:

    race           two threads access an element, one writes, and neither a barrier nor an atomic
                   operation orders them: in one epoch of a block, or in two blocks at any time
    bounds         an index beyond the end of an array, or below zero
    barrier        some threads of a block wait at a barrier that others do not reach
    uninitialised  shared or local memory is read before it is written

Of these, Numba's own simulator finds only indices beyond the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minideeplab.testing.simt.execution import Grid
from minideeplab.testing.simt.memory import Problem, SimtError

__all__ = ["Problem", "SimtError", "check", "run"]


def check(
    kernel: Callable,
    blocks: int | tuple[int, ...],
    threads: int | tuple[int, ...],
    args: Sequence[Any],
) -> list[Problem]:
    """Run a kernel on a grid and return its problems, an empty list if there are none.

    Args:
        kernel: a plain function, or one decorated with ``numba.cuda.jit``; functions that it calls
            may be decorated too.
        blocks, threads: a number or up to three, x first, as in ``kernel[blocks, threads]``.
        args: NumPy arrays, which the kernel modifies in place, and numbers.

    Bounds and barrier problems end the run; the others are collected, one per array. Exceptions of
    the kernel are passed on.
    """
    return Grid(kernel, blocks, threads).run(args)


def run(
    kernel: Any, blocks: tuple[int, ...], threads: tuple[int, ...], args: Sequence[Any]
) -> None:
    """Run a kernel and raise SimtError for its problems; a runner for ``launch.through``."""
    problems = check(getattr(kernel, "function", kernel), blocks, threads, args)
    if problems:
        name = getattr(kernel, "__name__", "kernel")
        raise SimtError(f"{name}: " + "; ".join(map(str, problems)))
