"""Sixteen channels of a pixel as one vector; a row number below zero stands for the padding."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature

from minideeplab.backends.numba_cpu.crf.lanes import Lanes, pointer
from minideeplab.backends.numba_cpu.jit import compiled

CHANNELS = 16


def load(array: np.ndarray, row: int, lane: int) -> np.ndarray:
    """Return ``array[row, lane : lane + CHANNELS]``, or zeros if ``row`` is negative."""
    return array[row, lane : lane + CHANNELS] if row >= 0 else np.zeros(CHANNELS, array.dtype)


def vector(array: np.ndarray, rows: np.ndarray | int, index: int, lane: int) -> np.ndarray:
    """Return ``load(array, rows[index], lane)``; if ``rows`` is a number, of row ``rows + index``.

    Such a row is not padding, which saves the test.
    """
    row = rows + index if np.ndim(rows) == 0 else rows[index]
    return load(array, row, lane)


def prefetch(array: np.ndarray, row: int, lane: int) -> None:
    """Ask for the cache line of ``array[row, lane]``, which need not exist."""


def store(array: np.ndarray, row: int, lane: int, vector: np.ndarray) -> None:
    """Write a vector to ``array[row, lane : lane + CHANNELS]``."""
    array[row, lane : lane + CHANNELS] = vector


@compiled(load, lambda array, row, lane: Lanes(array.dtype, CHANNELS))
def _load(context, builder, sig, args):
    """Read row 0 in place of a negative one, and then choose zeros: no branch."""
    zero = ir.Constant(args[1].type, 0)
    outside = builder.icmp_signed("<", args[1], zero)
    row = builder.select(outside, zero, args[1])
    address = pointer(context, builder, sig, (args[0], row, args[2]), CHANNELS)
    value = builder.load(address, align=4)
    return builder.select(outside, ir.Constant(value.type, None), value)


@compiled(vector, lambda array, rows, index, lane: Lanes(array.dtype, CHANNELS))
def _vector(context, builder, sig, args):
    array, rows, index, lane = sig.args
    typed = signature(sig.return_type, array, types.int64, lane)
    place = context.cast(builder, args[2], index, types.int64)
    if isinstance(rows, types.Array):
        table = context.make_array(rows)(context, builder, args[1])
        row = builder.load(cgutils.get_item_pointer(context, builder, rows, table, [place]))
        return _load(context, builder, typed, (args[0], row, args[3]))
    row = builder.add(context.cast(builder, args[1], rows, types.int64), place)
    return builder.load(
        pointer(context, builder, typed, (args[0], row, args[3]), CHANNELS), align=4
    )


@compiled(store, lambda array, row, lane, vector: types.none)
def _store(context, builder, sig, args):
    address = pointer(context, builder, sig, args, CHANNELS)
    builder.store(args[3], address, align=4)
    return context.get_dummy_value()


@compiled(prefetch, lambda array, row, lane: types.none)
def _prefetch(context, builder, sig, args):
    number, byte = ir.IntType(32), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    address = builder.bitcast(pointer(context, builder, sig, args, CHANNELS), byte)
    builder.call(function, [address, number(0), number(2), number(1)])  # to read, into L2
    return context.get_dummy_value()
