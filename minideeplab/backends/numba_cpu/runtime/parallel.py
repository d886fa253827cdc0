"""One team of threads for the whole backend, and BLAS held to one thread inside it.

Where tasks add up, their boundaries depend on shapes only, never on the number of threads, and
each task writes its own part of the result: what comes out is the same bits on 1 thread or 64.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numba
import numpy as np
from threadpoolctl import ThreadpoolController

from minideeplab.backends.numba_cpu.runtime.atomics import LINE, claim
from minideeplab.backends.numba_cpu.runtime.parallel_kernel import Round
from minideeplab.backends.numba_cpu.runtime.thread_pool import Team, fresh_counters

PIECES = 4  # for each thread, so that they end at about the same time
GRAIN = 1 << 16  # elements below which starting another thread costs more than it saves


def thread_count() -> int:
    """Threads that a task list may use, the caller's included: NUMBA_NUM_THREADS, or the cores.

    No more than there are cores: threads that wait awake would keep others from working. One under
    NUMBA_DISABLE_JIT=1, for then the kernels hold the interpreter's lock.
    """
    if numba.config.DISABLE_JIT:
        return 1
    return min(numba.config.NUMBA_NUM_THREADS, _cores())


@cache
def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_pieces(
    kernel: Round, length: int, *args: object, step: int | None = None, work: int = 1
) -> None:
    """Have ``kernel(first, last, me, *args)`` done for all pieces of ``range(length)``.

    Pieces are of ``step``. Without one they are of GRAIN / ``work`` or more, some for every thread:
    what comes out must then not depend on where they end. ``me`` is 0 in the calling thread, and
    below ``thread_count()`` in the others. If the threads have other work, the caller does all.
    """
    helpers = thread_count() - 1
    if step is None:
        step = max(1, GRAIN // max(1, work), -(-length // (PIECES * (helpers + 1))))
    most = -(-length // step) - 1
    if most < 1 or helpers <= 0 or not _team(helpers).run(kernel, most, length, step, *args):
        kernel(fresh_counters(), length, step, *args)


def parallel_for(task: Callable[[int], None], count: int) -> None:
    """Call ``task(0) ... task(count - 1)``, in any order, on all threads: for work in Python.

    ``task`` must release the interpreter's lock (compiled kernels and NumPy's matmul do) and write
    only its own part of the result. If the threads have other work, the caller does all. The first
    exception is raised again here.
    """

    def work(counters: np.ndarray) -> None:
        while (index := claim(counters)) < count:
            task(index)

    helpers = thread_count() - 1
    if count < 2 or helpers <= 0 or not _team(helpers).do(work, count - 1):
        work(fresh_counters())


def spans(length: int, step: int) -> list[tuple[int, int]]:
    """Cut ``range(length)`` into ``(start, stop)`` pieces of ``step``, the last one shorter."""
    return [(start, min(start + step, length)) for start in range(0, length, step)]


@cache
def _team(helpers: int) -> Team:
    return Team(helpers)


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=lambda: _team.cache_clear())


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


class _BlasUsers:
    """How many task lists run now; BLAS gets its threads back when the last one ends."""

    lock = threading.Lock()
    count = 0
    limit = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread, for tasks that multiply matrices on threads of ours.

    With one task too: the bits of BLAS's results depend on the number of its threads.
    """
    with _BlasUsers.lock:
        if _BlasUsers.count == 0:
            _BlasUsers.limit = _controller().limit(limits=1)
        _BlasUsers.count += 1
    try:
        yield
    finally:
        with _BlasUsers.lock:
            _BlasUsers.count -= 1
            if _BlasUsers.count == 0:
                _BlasUsers.limit.restore_original_limits()
                _BlasUsers.limit = None


def aligned(shape: int | tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return ``np.empty(shape, dtype)`` that begins where a cache line does.

    NumPy begins large arrays 16 bytes behind one. Then every vector as wide as a line lies on two.
    """
    size = math.prod(shape if isinstance(shape, tuple) else (shape,)) * np.dtype(dtype).itemsize
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % LINE  # faster than memory.ctypes.data
    return memory[start : start + size].view(dtype).reshape(shape)


_LOCAL = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an uninitialised work array of this thread, used again at the next call by that name.

    Fresh memory costs a page fault every 4 KiB, more than filling it; this memory is touched once.
    """
    wanted = math.prod(shape) * np.dtype(dtype).itemsize
    held = getattr(_LOCAL, name, None)
    if held is None or held.nbytes < wanted:
        held = aligned(wanted, np.uint8)
        setattr(_LOCAL, name, held)
    return held[:wanted].view(dtype).reshape(shape)


def rooms(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return ``scratch`` for each thread of a round: (thread_count(), *shape), [me] for one."""
    return scratch(name, (thread_count(), *shape), dtype)
