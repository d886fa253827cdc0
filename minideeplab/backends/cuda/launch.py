"""Kernels and their launch: `Kernel`, the decorator `kernel`, and the choice of language.

A kernel is a plain Python function for one thread. Its arrays have one axis, in C order; sizes are
integers, other numbers have the arrays' dtype. Most kernels assign one element of the result to
each thread and cover any number of elements with a limited grid (a "grid-stride loop"):

    element     0    1    2  ... T-1 |  T  T+1 ... 2T-1 | 2T ...        T threads in the whole grid
    thread      0    1    2  ... T-1 |  0   1  ...  T-1 |  0 ...

Neighbouring threads access neighbouring elements, so a warp reads and writes whole cache lines.

Each kernel is written twice, in CUDA C (``kernels/*.cu``) and in Numba CUDA. On a GPU the CUDA C
source runs by default: it has 32-bit indices and a shorter launch. The Numba CUDA kernel runs
inside ``with written_in("numba")``, if the environment variable MINIDEEPLAB_CUDA_KERNELS is
"numba", and in Numba's simulator. ``through(runner)`` passes all launches to a function, such as
the race checker.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, cached_property, update_wrapper
from typing import Any

from numba import cuda

from minideeplab.backends.cuda import sources
from minideeplab.backends.cuda.device import SIMULATED, xp

THREADS = 4 if SIMULATED else 256
BLOCKS = 2 if SIMULATED else 4096
"""Threads of a block, and the most blocks of a grid, where elements are independent."""

VARIABLE = "MINIDEEPLAB_CUDA_KERNELS"
LANGUAGES = ("numba", "c")

Runner = Callable[["Kernel", tuple, tuple, Sequence[Any]], None]

_runner: ContextVar[Runner | None] = ContextVar("runner", default=None)
_language: ContextVar[str | None] = ContextVar("language", default=None)

device_function = cuda.jit(device=True)
"""Decorator of a function that kernels call."""


class Kernel:
    """A Numba CUDA ``function`` and the ``file`` in ``kernels/`` with the same kernel in CUDA C.

    ``kernel(size, *args)`` launches a thread for each element, ``kernel.launch(blocks, threads,
    *args)`` a given grid. Arrays of any shape are flattened; an output must be contiguous.
    """

    def __init__(self, function: Callable, file: str):
        self.function, self.file = function, file
        update_wrapper(self, function)

    def __call__(self, size: int, *args: Any) -> None:
        """Launch one thread per element, at most BLOCKS blocks; nothing for size 0."""
        if size:
            self.launch((min(BLOCKS, -(-size // THREADS)),), (THREADS,), *args)

    def launch(self, blocks: tuple[int, ...], threads: tuple[int, ...], *args: Any) -> None:
        """Launch a grid of ``blocks`` with ``threads`` each on CuPy's current stream."""
        run = _runner.get() or (_run_c if language() == "c" else _run_numba)
        args = tuple(flat(arg) if isinstance(arg, xp.ndarray) else arg for arg in args)
        run(self, blocks, threads, args)

    @cached_property
    def compiled(self) -> Any:
        """The kernel as compiled by Numba, once for each combination of dtypes."""
        return cuda.jit(self.function)


def kernel(file: str) -> Callable[[Callable], Kernel]:
    """Decorator that makes a function a `Kernel`: ``@kernel("pool.cu")`` names its CUDA C file."""
    return lambda function: Kernel(function, file)


def flat(array: Any) -> Any:
    """The array with one axis in C order, copied only if it is not contiguous."""
    if SIMULATED and not array.flags.writeable:  # the simulator writes every argument back
        array = array.copy()
    return xp.ascontiguousarray(array).reshape(-1)


def language() -> str:
    """The language of the kernels that run, "numba" or "c": "c" on a GPU, else "numba"."""
    name = _language.get() or os.environ.get(VARIABLE) or ("numba" if SIMULATED else "c")
    if name not in LANGUAGES:
        raise ValueError(f"{VARIABLE}: got {name!r}, expected 'numba' or 'c'")
    return name


@contextmanager
def written_in(name: str) -> Iterator[None]:
    """Run the Numba CUDA kernels ("numba") or the CUDA C sources ("c") inside the block."""
    if name not in LANGUAGES:
        raise ValueError(f"name: got {name!r}, expected 'numba' or 'c'")
    token = _language.set(name)
    try:
        yield
    finally:
        _language.reset(token)


@contextmanager
def through(runner: Runner | None) -> Iterator[None]:
    """Pass all launches inside the block to ``runner(kernel, blocks, threads, args)``.

    None restores the default.
    """
    token = _runner.set(runner)
    try:
        yield
    finally:
        _runner.reset(token)


def _run_numba(kernel: Kernel, blocks: tuple, threads: tuple, args: Sequence[Any]) -> None:
    """Launch the kernel compiled by Numba, without synchronising on its arrays."""
    if xp.__name__ == "numpy":
        kernel.compiled[blocks, threads](*args)
        return
    stream = _numbas_stream(xp.cuda.get_current_stream().ptr)
    ours = [cuda.as_cuda_array(a, sync=False) if isinstance(a, xp.ndarray) else a for a in args]
    kernel.compiled[blocks, threads, stream](*ours)


@cache
def _numbas_stream(pointer: int) -> Any:
    """Numba's object for a stream of CuPy, cached because Numba looks up launches by it."""
    return cuda.external_stream(pointer) if pointer else 0


def _run_c(kernel: Kernel, blocks: tuple, threads: tuple, args: Sequence[Any]) -> None:
    sources.start(xp, kernel.file, kernel.__name__, blocks, threads, args)
