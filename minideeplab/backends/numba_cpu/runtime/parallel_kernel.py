"""Kernels that all threads run together, in one compiled call.

    @together
    def _double(first, last, me, x, y):
        x, y = x[first:last], y[first:last]
        for i in range(x.size):
            y[i] = 2 * x[i]

    in_pieces(_double, x.size, x, y)  # of threads.py

A kernel does a piece [first, last) of what there is to do, and the threads claim pieces until none
are left. ``me`` is the number of the thread, by which it finds its part of ``rooms``. Loops over
elements run from 0, as above: then LLVM knows that no index counts from an end, and makes vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FunctionType

import numpy as np
from llvmlite import ir
from numba import config
from numba.core import cgutils, types
from numba.extending import intrinsic

from minideeplab.backends.numba_cpu.runtime.atomics import call, claim, read
from minideeplab.backends.numba_cpu.runtime.jit import inner, jit
from minideeplab.backends.numba_cpu.runtime.thread_pool import FAILED, SEATS, announce, close


@dataclass(frozen=True)
class Round:
    """A compiled kernel, and the compiled function in which threads call it."""

    kernel: Callable[..., None]
    run: Callable[..., None]

    def __call__(self, counters: np.ndarray, length: int, step: int, *args: object) -> None:
        """Have all pieces done."""
        self.run(counters, NOBODY, length, step, *args)


NOBODY = -1  # ``me`` of the call that announces the round


def together(function: Callable[..., None]) -> Round:
    """Compile ``function(first, last, me, *args)`` and the round in which threads call it.

    The round is a function of its own whose global name ``kernel`` is this kernel: with the kernel
    as an argument, or in a closure, Numba would not find it on disk again.
    """
    kernel = inner(function)
    if config.DISABLE_JIT:
        return Round(kernel, partial(_uncompiled, kernel))
    code = _round.__code__.replace(
        co_filename=function.__code__.co_filename, co_firstlineno=function.__code__.co_firstlineno
    )
    run = FunctionType(code, {**globals(), "kernel": kernel}, function.__name__)
    run.__module__, run.__qualname__ = function.__module__, f"{function.__qualname__}.round"
    return Round(kernel, jit(run))


def _uncompiled(kernel, counters, me, length, step, *args):
    for first in range(0, length, step):
        kernel(first, min(first + step, length), 0, *args)


def _round(counters, me, length, step, *args):
    """Have all pieces done: by the helpers for whom there are seats, and this thread.

    They and it call this function again, with their ``me``: all threads run the same machine code,
    since a second copy might round otherwise.
    """
    if me != NOBODY:
        first = claim(counters) * step
        while first < length:
            kernel(first, min(first + step, length), me, *args)  # noqa: F821, see together()
            first = claim(counters) * step
        return
    seats = read(counters, SEATS)
    task, argument = _again(counters, me, length, step, args)
    if seats > 0:
        announce(counters, task, argument)
    failed = call(task, argument, 0)
    if seats > 0:
        close(counters)
    if failed + read(counters, FAILED) > 0:
        raise RuntimeError("a kernel failed, perhaps for want of memory")


@intrinsic
def _again(typing, counters, me, length, step, args):
    """Return addresses of a function (argument, me) that calls this one, and of the argument.

    The argument holds the others, in the frame of this function, and is gone with it.
    """
    kinds = counters, me, length, step, args
    held = types.Tuple(kinds)

    def emit(context, builder, signature, values):
        place = cgutils.alloca_once_value(builder, context.make_tuple(builder, held, values))
        task = _task(context, builder.module, builder.function, kinds, place.type)
        addresses = [builder.ptrtoint(pointer, NUMBER) for pointer in (task, place)]
        return context.make_tuple(builder, signature.return_type, addresses)

    return types.UniTuple(types.int64, 2)(*kinds), emit


NUMBER = ir.IntType(64)


def _task(context, module, function, kinds, pointer):
    """Emit a function that calls a compiled one with the tuple at an address, but for ``me``.

    It returns whether that failed.
    """
    task = ir.Function(module, ir.FunctionType(NUMBER, [NUMBER, NUMBER]), module.get_unique_name())
    task.linkage = "internal"
    task.attributes.add("noinline")
    builder = ir.IRBuilder(task.append_basic_block())
    address, me = task.args
    held = builder.load(builder.inttoptr(address, pointer))
    counters, _, *others = cgutils.unpack_tuple(builder, held)
    values = [counters, me, *others]
    status, _ = context.call_conv.call_function(builder, function, types.none, kinds, values)
    builder.ret(builder.zext(status.is_error, NUMBER))
    return task
