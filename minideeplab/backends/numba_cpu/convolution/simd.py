"""Sixteen channels of a pixel as one vector; a row number below zero stands for the padding."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature

from minideeplab.backends.numba_cpu.runtime.jit import compiled
from minideeplab.backends.numba_cpu.simd import Lanes, pointer

CHANNELS = 16
VECTOR = ir.VectorType(ir.FloatType(), CHANNELS)


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


def turn(
    length: int, source: np.ndarray, first: int, step: int, target: np.ndarray, place: int, hop: int
) -> None:
    """Turn round a matrix that lies in flat arrays: read its rows, write its columns.

    It has CHANNELS rows of ``length`` numbers (a literal, CHANNELS at most), ``step`` apart from
    ``first`` on; the columns are written ``hop`` apart from ``place`` on.
    """
    for row in range(CHANNELS):
        for column in range(length):
            target[place + column * hop + row] = source[first + row * step + column]


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


@compiled(turn, lambda *_: types.none, literal=True)
def _turn(context, builder, sig, args):
    length = sig.args[0].literal_value
    source, target = (context.make_array(sig.args[k])(context, builder, args[k]) for k in (1, 4))
    first, step, place, hop = (
        context.cast(builder, args[k], sig.args[k], types.int64) for k in (2, 3, 5, 6)
    )

    def address(array, start, distance, k):
        offset = builder.add(start, builder.mul(distance, distance.type(k)))
        return builder.bitcast(builder.gep(array.data, [offset]), VECTOR.as_pointer())

    read = _masked_load(builder, length)
    rows = [read(address(source, first, step, k)) for k in range(CHANNELS)]
    for column, vector in enumerate(_turned(builder, rows)[:length]):
        builder.store(vector, address(target, place, hop, column), align=4)
    return context.get_dummy_value()


def _masked_load(builder, length):
    """Return how to load the first ``length`` lanes; what lies behind them need not exist."""
    flag, number = ir.IntType(1), ir.IntType(32)
    mask = ir.VectorType(flag, CHANNELS)([flag(lane < length) for lane in range(CHANNELS)])
    kind = ir.FunctionType(VECTOR, [VECTOR.as_pointer(), number, mask.type, VECTOR])
    name = f"llvm.masked.load.v{CHANNELS}f32.p0"
    load = cgutils.get_or_insert_function(builder.module, kind, name)
    return lambda address: builder.call(load, [address, number(4), mask, VECTOR(None)])


def _turned(builder, rows):
    """Return the columns of a square of rows: exchange blocks of 8 x 8, of 4 x 4 in them, ..."""
    lanes, size = range(CHANNELS), CHANNELS // 2
    while size:
        upper = [lane - size + CHANNELS if lane & size else lane for lane in lanes]
        lower = [lane + CHANNELS if lane & size else lane + size for lane in lanes]
        masks = [ir.VectorType(ir.IntType(32), CHANNELS)(mask) for mask in (upper, lower)]
        for k in lanes:
            if not k & size:
                pair = rows[k], rows[k + size]
                rows[k], rows[k + size] = (builder.shuffle_vector(*pair, mask) for mask in masks)
        size //= 2
    return rows


@compiled(prefetch, lambda array, row, lane: types.none)
def _prefetch(context, builder, sig, args):
    number, byte = ir.IntType(32), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    address = builder.bitcast(pointer(context, builder, sig, args, CHANNELS), byte)
    builder.call(function, [address, number(0), number(2), number(1)])  # to read, into L2
    return context.get_dummy_value()
