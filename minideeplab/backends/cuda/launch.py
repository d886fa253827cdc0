"""What a kernel is: a plain Python function over flat arrays and numbers, and how it is started.

The function says what one thread does. Its arrays have one axis, in C order; sizes come as
integers, other numbers in the arrays' dtype. Most kernels give each element of the result to a
thread, and let a limited grid walk over any number of elements (a "grid-stride loop"):

    element     0    1    2  ... T-1 |  T  T+1 ... 2T-1 | 2T ...        T threads in the whole grid
    thread      0    1    2  ... T-1 |  0   1  ...  T-1 |  0 ...

Neighbouring threads take neighbouring elements, so that a warp reads and writes whole cache lines.

A kernel runs as its twin in CUDA C from ``kernels/``, which counts in 32 bits and starts sooner;
compiled by Numba, inside ``with written_in("numba")`` or if the environment variable
MINIDEEPLAB_CUDA_KERNELS is "numba"; in Numba's simulator, where there is no GPU; or by any function
given to ``through``, such as the checker for races.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, cached_property, update_wrapper
from typing import Any

from numba import cuda

from minideeplab.backends.cuda import sources as twins
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
"""Marks a function that kernels call."""


class Kernel:
    """A kernel: its text (``function``), and the file in ``kernels/`` that holds its twin.

    ``kernel(size, *args)`` starts as many threads as elements need; ``kernel.launch(blocks,
    threads, *args)`` a grid of one's own.
    """

    def __init__(self, function: Callable, twin: str):
        self.function, self.twin = function, twin
        update_wrapper(self, function)

    def __call__(self, size: int, *args: Any) -> None:
        """Start a thread for each of ``size`` elements, or a grid that walks over them."""
        if size:
            self.launch((min(BLOCKS, -(-size // THREADS)),), (THREADS,), *args)

    def launch(self, blocks: tuple[int, ...], threads: tuple[int, ...], *args: Any) -> None:
        """Start a grid of ``blocks`` with ``threads`` each, on CuPy's current stream."""
        run = _runner.get() or (_run_twin if language() == "c" else _run_numba)
        run(self, blocks, threads, args)

    @cached_property
    def compiled(self) -> Any:
        """The function for Numba to start; it compiles once for each combination of dtypes."""
        return cuda.jit(self.function)


def kernel(twin: str) -> Callable[[Callable], Kernel]:
    """Make a function a kernel: ``@kernel("pool.cu")``, named after the file of its twin."""
    return lambda function: Kernel(function, twin)


def language() -> str:
    """ "numba" or "c": which text of a kernel runs. On a GPU "c", in the simulator "numba"."""
    name = _language.get() or os.environ.get(VARIABLE) or ("numba" if SIMULATED else "c")
    if name not in LANGUAGES:
        raise ValueError(f"{VARIABLE}: got {name!r}, expected 'numba' or 'c'")
    return name


@contextmanager
def written_in(name: str) -> Iterator[None]:
    """Run the kernels' text in "numba" or in CUDA "c" inside the block."""
    if name not in LANGUAGES:
        raise ValueError(f"name: got {name!r}, expected 'numba' or 'c'")
    token = _language.set(name)
    try:
        yield
    finally:
        _language.reset(token)


@contextmanager
def through(runner: Runner | None) -> Iterator[None]:
    """Let ``runner(kernel, blocks, threads, args)`` execute all kernels inside the block.

    None stands for what would run them without it.
    """
    token = _runner.set(runner)
    try:
        yield
    finally:
        _runner.reset(token)


def _run_numba(kernel: Kernel, blocks: tuple, threads: tuple, args: Sequence[Any]) -> None:
    """Start Numba's compilation; arrays are handed over as they are, without waiting for them."""
    if xp.__name__ == "numpy":
        kernel.compiled[blocks, threads](*args)
        return
    stream = _numbas_stream(xp.cuda.get_current_stream().ptr)
    ours = [cuda.as_cuda_array(a, sync=False) if isinstance(a, xp.ndarray) else a for a in args]
    kernel.compiled[blocks, threads, stream](*ours)


@cache
def _numbas_stream(pointer: int) -> Any:
    """Numba's name for CuPy's stream: the same one each time, by which Numba finds its launch."""
    return cuda.external_stream(pointer) if pointer else 0


def _run_twin(kernel: Kernel, blocks: tuple, threads: tuple, args: Sequence[Any]) -> None:
    twins.start(xp, kernel.twin, kernel.__name__, blocks, threads, args)
