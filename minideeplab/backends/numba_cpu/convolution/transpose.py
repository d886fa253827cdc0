"""Transpose matrices of CHANNELS rows in registers, or sum their rows."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from minideeplab.backends.numba_cpu.runtime.jit import compiled
from minideeplab.backends.numba_cpu.simd import CHANNELS, VECTOR, Lanes

NUMBER = ir.IntType(64)


def transpose(
    length: int, source: np.ndarray, first: int, step: int, target: np.ndarray, place: int, hop: int
) -> None:
    """Transpose a matrix in flat arrays: read its rows, write its columns.

    It has CHANNELS rows of ``length`` numbers (a literal, CHANNELS at most), ``step`` apart from
    ``first`` on; the columns are written ``hop`` apart from ``place`` on.
    """
    for row in range(CHANNELS):
        for column in range(length):
            target[place + column * hop + row] = source[first + row * step + column]


def lane_sums(array: np.ndarray, row: int) -> np.ndarray:
    """Return the sums of the lanes of ``array[row : row + CHANNELS]``, one in each lane."""
    return array[row : row + CHANNELS].sum(axis=1)


@compiled(lane_sums, lambda array, row: Lanes(array.dtype, CHANNELS))
def _lane_sums(context, builder, sig, args):
    array = context.make_array(sig.args[0])(context, builder, args[0])
    first = builder.mul(context.cast(builder, args[1], sig.args[1], types.int64), NUMBER(CHANNELS))
    start = builder.gep(array.data, [first])
    addresses = [builder.gep(start, [NUMBER(k * CHANNELS)]) for k in range(CHANNELS)]
    pointers = [builder.bitcast(address, VECTOR.as_pointer()) for address in addresses]
    vectors = _transposed(builder, [builder.load(pointer, align=4) for pointer in pointers])
    while len(vectors) > 1:
        half = len(vectors) // 2
        vectors = [builder.fadd(a, b) for a, b in zip(vectors[:half], vectors[half:], strict=True)]
    return vectors[0]


@compiled(transpose, lambda *_: types.none, literal=True)
def _transpose(context, builder, sig, args):
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
    for column, vector in enumerate(_transposed(builder, rows)[:length]):
        builder.store(vector, address(target, place, hop, column), align=4)
    return context.get_dummy_value()


def _masked_load(builder, length):
    """Return how to load the first ``length`` lanes; numbers after them need not exist."""
    flag, number = ir.IntType(1), ir.IntType(32)
    mask = ir.VectorType(flag, CHANNELS)([flag(lane < length) for lane in range(CHANNELS)])
    kind = ir.FunctionType(VECTOR, [VECTOR.as_pointer(), number, mask.type, VECTOR])
    name = f"llvm.masked.load.v{CHANNELS}f32.p0"
    load = cgutils.get_or_insert_function(builder.module, kind, name)
    return lambda address: builder.call(load, [address, number(4), mask, VECTOR(None)])


def _transposed(builder, rows):
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
