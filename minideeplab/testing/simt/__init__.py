"""A checker for CUDA kernels that needs no GPU: races, bounds and barriers, found on every run.

    problems = simt.check(kernel, blocks=2, threads=4, args=(x, y, x.size))

runs a kernel written for Numba CUDA as plain Python, one thread after the other, and logs every
access to memory with its block, thread and "epoch", the number of barriers that the block passed.
What is wrong shows in the log, whether or not it did harm in this order of threads:

    race           two threads touch an element, one writes, and no barrier and no atomic operation
                   orders them: in one epoch of a block, or in two blocks at any time
    bounds         an index beyond an array, or below zero
    barrier        some threads of a block wait where others do not come
    uninitialised  shared or local memory is read before anything was written there

Numba's own simulator runs kernels too, but sees none of these but the first kind of bounds.
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
    """Run a kernel on a grid and return what is wrong with it: an empty list if nothing is.

    Args:
        kernel: a plain function, or one decorated with ``numba.cuda.jit``; functions that it calls
            may be decorated too.
        blocks, threads: a number or up to three, x first, as in ``kernel[blocks, threads]``.
        args: NumPy arrays, which are written to as a GPU would, and numbers.

    Wrong bounds and barriers end the run at once; the others are collected, one for each array.
    What the kernel itself raises is passed on.
    """
    return Grid(kernel, blocks, threads).run(args)


def run(
    kernel: Any, blocks: tuple[int, ...], threads: tuple[int, ...], args: Sequence[Any]
) -> None:
    """Run a kernel and raise SimtError if anything is wrong; for ``launch.through(simt.run)``."""
    problems = check(getattr(kernel, "function", kernel), blocks, threads, args)
    if problems:
        name = getattr(kernel, "__name__", "kernel")
        raise SimtError(f"{name}: " + "; ".join(map(str, problems)))
