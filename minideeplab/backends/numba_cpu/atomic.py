"""What threads say to each other in compiled code, without the interpreter's lock.

``counters`` is an array of int64 whose elements stand a cache line apart: those of ``team.py``.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target

from minideeplab.backends.numba_cpu.jit import compiled, jit

LINE = 64  # bytes of a cache line, and of the widest vector
APART = LINE // 8
CLAIMED, BUSY, ROUND = 0, 1, 2  # counters: tasks handed out, helpers at work, works so far
TURNS = 20_000  # looks before a thread gives up waiting: some tenths of a millisecond
PAUSE = {"x86_64": ("llvm.x86.sse2.pause",), "aarch64": ("llvm.aarch64.hint", 1)}  # 1: yield


def add(counters: np.ndarray, which: int, amount: int) -> int:
    """Add to a counter; return what it was before. No other thread comes in between (compiled)."""
    before = counters[which * APART]
    counters[which * APART] += amount
    return before


def read(counters: np.ndarray, which: int) -> int:
    """Return a counter as it is in memory now."""
    return counters[which * APART]


def _counter(context, builder, sig, args):
    array = context.make_array(sig.args[0])(context, builder, args[0])
    which = context.cast(builder, args[1], sig.args[1], types.int64)
    return builder.gep(array.data, [builder.mul(which, which.type(APART))])


@compiled(add, lambda counters, which, amount: types.int64)
def _add(context, builder, sig, args):
    amount = context.cast(builder, args[2], sig.args[2], types.int64)
    place = _counter(context, builder, sig, args)
    return builder.atomic_rmw("add", place, amount, "seq_cst")


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


@jit
def claim(counters):
    """Return the number of the next task, from 0 on."""
    return add(counters, CLAIMED, 1)


@jit
def change(counters, which, amount):
    """Do as ``add``."""
    return add(counters, which, amount)


@jit
def becomes_zero(counters, which):
    """Wait until a counter is 0; False if it takes too long."""
    for _ in range(TURNS):
        if read(counters, which) == 0:
            return True
    return False


@jit
def new_round(counters, last):
    """Wait for the first claim of a round other than the last; False if it takes too long."""
    for _ in range(TURNS):
        if read(counters, CLAIMED) != 0 and read(counters, ROUND) != last:
            return True
    return False
