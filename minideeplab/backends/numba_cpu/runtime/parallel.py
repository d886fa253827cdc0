"""Parallel kernels and loops on one thread pool.

    @parallel_kernel
    def _double(first, last, thread_id, x, y):
        x, y = x[first:last], y[first:last]
        for i in range(x.size):
            y[i] = 2 * x[i]

    parallel_range(_double, x.size, x, y)

A parallel kernel computes a piece [first, last) of a range. The threads claim pieces until none is
left, in one compiled call. ``thread_id`` selects a thread's part of ``per_thread_scratch``. Loops
over elements start at 0, as above: then LLVM knows that no index is negative, and vectorizes.

Where pieces are summed, their boundaries depend on shapes only, never on the number of threads, and
each piece writes its own part of the result: the result has the same bits on 1 thread or 64.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from types import FunctionType

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from minideeplab.backends.numba_cpu.runtime.atomics import call, claim, read
from minideeplab.backends.numba_cpu.runtime.blas import one_blas_thread_here
from minideeplab.backends.numba_cpu.runtime.jit import inner, jit
from minideeplab.backends.numba_cpu.runtime.thread_pool import (
    FAILED,
    SLOTS,
    ThreadPool,
    fresh_counters,
    join,
    start,
)

PIECES = 4  # for each thread, so that all threads end at about the same time
GRAIN = 1 << 16  # elements below which another thread costs more than it saves
CALLER = -1  # ``thread_id`` of the call that starts a parallel kernel
NUMBER = ir.IntType(64)


@dataclass(frozen=True)
class ParallelKernel:
    """A compiled kernel, and the compiled function ``run`` that has the threads call it."""

    kernel: Callable[..., None]
    run: Callable[..., None]

    def __call__(self, counters: np.ndarray, length: int, step: int, *args: object) -> None:
        """Compute all pieces."""
        self.run(counters, CALLER, length, step, *args)


def parallel_kernel(function: Callable[..., None]) -> ParallelKernel:
    """Compile ``function(first, last, thread_id, *args)`` and the function that shares its range.

    The latter is a copy of ``_share_range`` whose global name ``kernel`` is this kernel: with the
    kernel as an argument, or in a closure, Numba would not find it in its cache on disk.
    """
    kernel = inner(function)
    if numba.config.DISABLE_JIT:
        return ParallelKernel(kernel, partial(_uncompiled, kernel))
    code = _share_range.__code__.replace(
        co_filename=function.__code__.co_filename, co_firstlineno=function.__code__.co_firstlineno
    )
    run = FunctionType(code, {**globals(), "kernel": kernel}, function.__name__)
    run.__module__, run.__qualname__ = function.__module__, f"{function.__qualname__}.run"
    return ParallelKernel(kernel, jit(run))


def _uncompiled(kernel, counters, thread_id, length, step, *args):
    for first in range(0, length, step):
        kernel(first, min(first + step, length), 0, *args)


def _share_range(counters, thread_id, length, step, *args):
    """Compute all pieces on this thread and on as many workers as have slots.

    Every thread calls this function again with its ``thread_id``: all threads run the same machine
    code, since a second copy might round differently.
    """
    if thread_id != CALLER:
        first = claim(counters) * step
        while first < length:
            kernel(first, min(first + step, length), thread_id, *args)  # noqa: F821
            first = claim(counters) * step
        return
    slots = read(counters, SLOTS)
    function, argument = _call_for_thread(counters, thread_id, length, step, args)
    if slots > 0:
        start(counters, function, argument)
    failed = call(function, argument, 0)
    if slots > 0:
        join(counters)
    if failed + read(counters, FAILED) > 0:
        raise RuntimeError("a kernel failed, possibly out of memory")


@intrinsic
def _call_for_thread(typing, counters, thread_id, length, step, args):
    """Return the addresses of a function (argument, thread_id) that calls the caller of this one
    again, and of the argument, which holds the other values and lies in the caller's stack frame.
    """
    kinds = counters, thread_id, length, step, args
    held = types.Tuple(kinds)

    def emit(context, builder, signature, values):
        place = cgutils.alloca_once_value(builder, context.make_tuple(builder, held, values))
        function = _trampoline(context, builder.module, builder.function, kinds, place.type)
        addresses = [builder.ptrtoint(pointer, NUMBER) for pointer in (function, place)]
        return context.make_tuple(builder, signature.return_type, addresses)

    return types.UniTuple(types.int64, 2)(*kinds), emit


def _trampoline(context, module, target, kinds, pointer):
    """Emit a function that calls ``target`` with the tuple at an address and another thread_id.

    It returns whether the call failed.
    """
    kind = ir.FunctionType(NUMBER, [NUMBER, NUMBER])
    function = ir.Function(module, kind, module.get_unique_name())
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    address, thread_id = function.args
    held = builder.load(builder.inttoptr(address, pointer))
    counters, _, *others = cgutils.unpack_tuple(builder, held)
    values = [counters, thread_id, *others]
    status, _ = context.call_conv.call_function(builder, target, types.none, kinds, values)
    builder.ret(builder.zext(status.is_error, NUMBER))
    return function


def thread_count() -> int:
    """Return how many threads may run, the caller included: NUMBA_NUM_THREADS, or the cores.

    Never more than the cores: spinning threads would keep others from working. One thread under
    NUMBA_DISABLE_JIT=1, since uncompiled kernels hold the interpreter's lock.
    """
    if numba.config.DISABLE_JIT:
        return 1
    return min(numba.config.NUMBA_NUM_THREADS, _cores())


@cache
def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _pool(workers: int) -> ThreadPool:
    return ThreadPool(workers)


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=lambda: _pool.cache_clear())


def parallel_range(
    kernel: ParallelKernel, length: int, *args: object, step: int | None = None, work: int = 1
) -> None:
    """Call ``kernel(first, last, thread_id, *args)`` for all pieces of ``range(length)``.

    Pieces have ``step`` elements. Without a step they have GRAIN / ``work`` or more, several for
    each thread: then the result must not depend on where pieces end. ``thread_id`` is 0 in the
    caller and below ``thread_count()`` in workers. If the pool is in use, the caller does all.
    """
    workers = thread_count() - 1
    if step is None:
        step = max(1, GRAIN // max(1, work), -(-length // (PIECES * (workers + 1))))
    slots = -(-length // step) - 1
    if slots < 1 or workers <= 0 or not _pool(workers).run(kernel, slots, length, step, *args):
        kernel(fresh_counters(), length, step, *args)


def parallel_for(task: Callable[[int], None], count: int) -> None:
    """Call ``task(0) ... task(count - 1)``, in any order, on all threads: for work in Python.

    ``task`` must release the interpreter's lock (compiled kernels and NumPy's matmul do) and write
    only its own part of the result. If the pool is in use, the caller does all. The first exception
    is raised here.
    """

    def work(counters: np.ndarray) -> None:
        with one_blas_thread_here():
            while (index := claim(counters)) < count:
                task(index)

    workers = thread_count() - 1
    if count < 2 or workers <= 0 or not _pool(workers).run_python(work, count - 1):
        work(fresh_counters())


def spans(length: int, step: int) -> list[tuple[int, int]]:
    """Return the ``(start, stop)`` of pieces of ``range(length)``; the last one may be shorter."""
    return [(start, min(start + step, length)) for start in range(0, length, step)]
