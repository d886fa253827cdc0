"""Atomic counters for nogil code.

``counters`` is an int64 array whose counters are one cache line apart, so that two threads which
use different counters do not share a line. ``thread_pool.py`` lists the counters.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target

from minideeplab.backends.numba_cpu.runtime.jit import compiled, jit

LINE = 64  # bytes of a cache line, and of the widest vector
SPACING = LINE // 8  # elements from counter to counter
CLAIMED = 0  # the counter of pieces handed out
PAUSE = {"x86_64": ("llvm.x86.sse2.pause",), "aarch64": ("llvm.aarch64.hint", 1)}  # 1: yield


def add(counters: np.ndarray, which: int, amount: int) -> int:
    """Add to a counter and return its previous value (atomic if compiled)."""
    before = counters[which * SPACING]
    counters[which * SPACING] += amount
    return before


def read(counters: np.ndarray, which: int) -> int:
    """Return the current value of a counter."""
    return counters[which * SPACING]


def swap(counters: np.ndarray, which: int, value: int) -> int:
    """Set a counter and return its previous value (atomic if compiled)."""
    before = counters[which * SPACING]
    counters[which * SPACING] = value
    return before


def call(address: int, *numbers: int) -> int:
    """Call the function at an address with int64 arguments and return its result (compiled)."""
    raise NotImplementedError


def _counter(context, builder, sig, args):
    array = context.make_array(sig.args[0])(context, builder, args[0])
    which = context.cast(builder, args[1], sig.args[1], types.int64)
    return builder.gep(array.data, [builder.mul(which, which.type(SPACING))])


def _compile_as(function, operation):
    @compiled(function, lambda counters, which, number: types.int64)
    def _emit(context, builder, sig, args):
        number = context.cast(builder, args[2], sig.args[2], types.int64)
        address = _counter(context, builder, sig, args)
        return builder.atomic_rmw(operation, address, number, "seq_cst")


_compile_as(add, "add")
_compile_as(swap, "xchg")


@compiled(read, lambda counters, which: types.int64)
def _read(context, builder, sig, args):
    architecture = cpu_target.target_context.codegen().magic_tuple()[0].split("-")[0]
    if architecture in PAUSE:  # lets the core's other hardware thread run, and saves power
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
    """Return the index of the next unclaimed piece, from 0 on."""
    return add(counters, CLAIMED, 1)
