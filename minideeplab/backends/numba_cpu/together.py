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
from types import FunctionType

from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic

from minideeplab.backends.numba_cpu.atomic import call, claim, read
from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.team import FAILED, SEATS, announce, close


@dataclass(frozen=True)
class Round:
    """A compiled kernel, and ``run(counters, length, step, *args)``, which has it done."""

    kernel: Callable[..., None]
    run: Callable[..., None]


def together(function: Callable[..., None]) -> Round:
    """Compile ``function(first, last, me, *args)`` and the round in which threads call it.

    The round is a function of its own whose global name ``kernel`` is this kernel: with the kernel
    as an argument, or in a closure, Numba would not find it on disk again.
    """
    kernel = jit(function)
    code = _round.__code__.replace(
        co_filename=function.__code__.co_filename, co_firstlineno=function.__code__.co_firstlineno
    )
    run = FunctionType(code, {**globals(), "kernel": kernel}, function.__name__)
    run.__module__, run.__qualname__ = function.__module__, f"{function.__qualname__}.round"
    return Round(kernel, jit(run))


def _round(counters, length, step, *args):
    """Have all pieces done: by the helpers for whom there are seats, and this thread."""
    seats = read(counters, SEATS)
    task, argument = _entry(kernel, counters, length, step, args)  # noqa: F821, see together()
    if seats > 0:
        announce(counters, task, argument)
    failed = call(task, argument, 0)
    if seats > 0:
        close(counters)
    if failed + read(counters, FAILED) > 0:
        raise RuntimeError("a kernel failed, perhaps for want of memory")


@njit(nogil=True, error_model="numpy")
def _pieces(kernel, counters, length, step, args, me):
    """Do pieces until none are left."""
    first = claim(counters) * step
    while first < length:
        kernel(first, min(first + step, length), me, *args)
        first = claim(counters) * step


@intrinsic
def _entry(typing, kernel, counters, length, step, args):
    """Return addresses of a function (argument, me) that calls ``_pieces``, and of the argument.

    The argument is in the frame of the function that calls this one, and is gone with it. All
    threads run the same machine code: a second copy might round otherwise.
    """
    held = types.Tuple((counters, length, step, args))
    sig = types.Dispatcher(_pieces).get_call_type(typing, (kernel, *held, types.int64), {})

    def emit(context, builder, signature, values):
        compiled = _pieces.get_compile_result(sig)
        context.add_linking_libs((compiled.library,))
        place = cgutils.alloca_once_value(builder, context.make_tuple(builder, held, values[1:]))
        task = _task(context, builder.module, compiled.fndesc, place.type)
        addresses = [builder.ptrtoint(pointer, NUMBER) for pointer in (task, place)]
        return context.make_tuple(builder, signature.return_type, addresses)

    return types.UniTuple(types.int64, 2)(kernel, counters, length, step, args), emit


NUMBER = ir.IntType(64)


def _task(context, module, fndesc, pointer):
    """Emit a function that calls a compiled one with the tuple at an address, and a number.

    It returns whether that failed.
    """
    task = ir.Function(module, ir.FunctionType(NUMBER, [NUMBER, NUMBER]), module.get_unique_name())
    task.linkage = "internal"
    task.attributes.add("noinline")
    builder = ir.IRBuilder(task.append_basic_block())
    address, me = task.args
    held = builder.load(builder.inttoptr(address, pointer))
    kernel = context.get_constant_null(fndesc.argtypes[0])  # known by its type
    values = [kernel, *cgutils.unpack_tuple(builder, held), me]
    function = context.declare_function(module, fndesc)
    convention = context.call_conv
    status, _ = convention.call_function(builder, function, fndesc.restype, fndesc.argtypes, values)
    builder.ret(builder.zext(status.is_error, NUMBER))
    return task
