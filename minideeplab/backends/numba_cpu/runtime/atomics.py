"""What threads say to each other in compiled code, without the interpreter's lock.

``counters`` is an array of int64 whose elements stand a cache line apart: those of ``team.py``.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target

from minideeplab.backends.numba_cpu.runtime.jit import compiled, jit

LINE = 64  # bytes of a cache line, and of the widest vector
APART = LINE // 8
CLAIMED, BUSY = 0, 1  # counters: tasks handed out, helpers at work; ``team.py`` has others
PAUSE = {"x86_64": ("llvm.x86.sse2.pause",), "aarch64": ("llvm.aarch64.hint", 1)}  # 1: yield


def add(counters: np.ndarray, which: int, amount: int) -> int:
    """Add to a counter; return what it was before. No other thread comes in between (compiled)."""
    before = counters[which * APART]
    counters[which * APART] += amount
    return before


def read(counters: np.ndarray, which: int) -> int:
    """Return a counter as it is in memory now."""
    return counters[which * APART]


def swap(counters: np.ndarray, which: int, value: int) -> int:
    """Set a counter; return what it was before. No other thread comes in between (compiled)."""
    before = counters[which * APART]
    counters[which * APART] = value
    return before


def call(address: int, *numbers: int) -> int:
    """Return what the function at an address gives for whole numbers (compiled only)."""
    raise NotImplementedError


def _counter(context, builder, sig, args):
    array = context.make_array(sig.args[0])(context, builder, args[0])
    which = context.cast(builder, args[1], sig.args[1], types.int64)
    return builder.gep(array.data, [builder.mul(which, which.type(APART))])


def _changed(function, operation):
    @compiled(function, lambda counters, which, number: types.int64)
    def _emit(context, builder, sig, args):
        number = context.cast(builder, args[2], sig.args[2], types.int64)
        place = _counter(context, builder, sig, args)
        return builder.atomic_rmw(operation, place, number, "seq_cst")


_changed(add, "add")
_changed(swap, "xchg")


@compiled(read, lambda counters, which: types.int64)
def _read(context, builder, sig, args):
    architecture = cpu_target.target_context.codegen().magic_tuple()[0].split("-")[0]
    if architecture in PAUSE:  # lets the core's other thread run, and saves power
        name, *hints = PAUSE[architecture]
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [number] * len(hints))
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        builder.call(function, [number(hint) for hint in hints])
    return builder.load_atomic(_counter(context, builder, sig, args), "seq_cst", align=8)


@compiled(call, lambda address, *numbers: types.int64)
def _call(context, builder, sig, args):
    number = ir.IntType(64)
    values = [
        context.cast(builder, value, kind, types.int64)
        for value, kind in zip(args, sig.args, strict=True)
    ]
    kind = ir.FunctionType(number, [number] * (len(values) - 1))
    return builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])


@jit
def claim(counters):
    """Return the number of the next task, from 0 on."""
    return add(counters, CLAIMED, 1)
