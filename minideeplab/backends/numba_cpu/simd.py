"""SIMD vectors in compiled code: the type, loads and stores, arithmetic, comparisons, reductions.

Numba leaves loops over 8 or 16 numbers scalar, so kernels name the vectors themselves:

    total = load(values, row, lane)             # the WIDTH numbers values[row, lane : lane + WIDTH]
    total = total + load(values, other, lane) * weight
    store(values, row, lane, total)

The same lines run uncompiled, where a vector is an ordinary array. The CRF and the loss use vectors
of WIDTH numbers (the labels of a pixel, padded to whole vectors). Convolution and pooling use
vectors of CHANNELS channels of a pixel; there a negative row number stands for the padding.
"""

from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.extending import register_model
from numba.core.typing.templates import signature

from minideeplab.backends.numba_cpu.runtime.jit import compiled

WIDTH = 8
CHANNELS = 16
VECTOR = ir.VectorType(ir.FloatType(), CHANNELS)


def load(array: np.ndarray, row: int, lane: int) -> np.ndarray:
    """Return ``array[row, lane : lane + WIDTH]`` of a C-contiguous array as one vector."""
    return array[row, lane : lane + WIDTH].copy()


def load_channels(array: np.ndarray, row: int, lane: int) -> np.ndarray:
    """Return ``array[row, lane : lane + CHANNELS]`` as one vector, zeros if ``row`` is negative."""
    return array[row, lane : lane + CHANNELS] if row >= 0 else np.zeros(CHANNELS, array.dtype)


def load_indexed(array: np.ndarray, rows: np.ndarray | int, index: int, lane: int) -> np.ndarray:
    """Return ``load_channels`` of row ``rows[index]``, or of ``rows + index`` if that is a number.

    The latter row must not be negative, which saves the test.
    """
    row = rows + index if np.ndim(rows) == 0 else rows[index]
    return load_channels(array, row, lane)


def store(array: np.ndarray, row: int, lane: int, vector: np.ndarray) -> None:
    """Write a vector to ``array[row]`` from ``lane`` on."""
    array[row, lane : lane + len(vector)] = vector


def prefetch(array: np.ndarray, row: int, lane: int) -> None:
    """Prefetch the cache line of ``array[row, lane]``, which need not exist."""


def maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the larger of two vectors, lane by lane; b where a is NaN."""
    return np.where(a > b, a, b)


def round_lanes(vector: np.ndarray) -> np.ndarray:
    """Return the nearest integers, halves to even."""
    return np.rint(vector)


def power_of_two(exponent: np.ndarray) -> np.ndarray:
    """Return 2**exponent for whole numbers in the range of normal floats."""
    return np.exp2(exponent)


def highest(vector: np.ndarray) -> float:
    """Return the largest lane."""
    return vector.max()


def total(vector: np.ndarray) -> float:
    """Return the sum of the lanes."""
    return vector.sum()


def absolute(vector: np.ndarray) -> np.ndarray:
    """Return the magnitudes of the lanes."""
    return np.abs(vector)


def where_equal(a: np.ndarray, b: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values where a and b are equal, 0 elsewhere."""
    return np.where(a == b, values, values.dtype.type(0))


def where_unequal(a: np.ndarray, b: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values where a and b differ or one is NaN, 0 elsewhere."""
    return np.where(a == b, values.dtype.type(0), values)


def has_nan(vector: np.ndarray) -> bool:
    """Return whether a lane is NaN."""
    return bool(np.isnan(vector).any())


def padded(count: int) -> int:
    """Return ``count`` rounded up to whole vectors of WIDTH."""
    return -(-count // WIDTH) * WIDTH


class Lanes(types.Type):
    """The compiled type of a vector of ``count`` numbers of one dtype."""

    def __init__(self, dtype: types.Float, count: int = WIDTH):
        self.dtype, self.count = dtype, count
        super().__init__(f"lanes({count} x {dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        element = manager.lookup(lanes.dtype).get_data_type()
        super().__init__(manager, lanes, ir.VectorType(element, lanes.count))


def pointer(context, builder, sig, args, count=WIDTH):
    """Address of the vector at (row, lane) of the array that is the first argument."""
    array = context.make_array(sig.args[0])(context, builder, args[0])
    indices = [context.cast(builder, args[k], sig.args[k], types.intp) for k in (1, 2)]
    address = cgutils.get_item_pointer(context, builder, sig.args[0], array, indices)
    element = context.get_data_type(sig.args[0].dtype)
    return builder.bitcast(address, ir.VectorType(element, count).as_pointer())


@compiled(load, lambda array, row, lane: Lanes(array.dtype))
def _load(context, builder, sig, args):
    address = pointer(context, builder, sig, args)
    return builder.load(address, align=context.get_abi_alignment(address.type.pointee.element))


@compiled(load_channels, lambda array, row, lane: Lanes(array.dtype, CHANNELS))
def _load_channels(context, builder, sig, args):
    """Read row 0 in place of a negative one, and then select zeros: no branch."""
    zero = ir.Constant(args[1].type, 0)
    outside = builder.icmp_signed("<", args[1], zero)
    row = builder.select(outside, zero, args[1])
    address = pointer(context, builder, sig, (args[0], row, args[2]), CHANNELS)
    value = builder.load(address, align=4)
    return builder.select(outside, ir.Constant(value.type, None), value)


@compiled(load_indexed, lambda array, rows, index, lane: Lanes(array.dtype, CHANNELS))
def _load_indexed(context, builder, sig, args):
    array, rows, index, lane = sig.args
    typed = signature(sig.return_type, array, types.int64, lane)
    place = context.cast(builder, args[2], index, types.int64)
    if isinstance(rows, types.Array):
        table = context.make_array(rows)(context, builder, args[1])
        row = builder.load(cgutils.get_item_pointer(context, builder, rows, table, [place]))
        return _load_channels(context, builder, typed, (args[0], row, args[3]))
    row = builder.add(context.cast(builder, args[1], rows, types.int64), place)
    address = pointer(context, builder, typed, (args[0], row, args[3]), CHANNELS)
    return builder.load(address, align=4)


@compiled(store, lambda array, row, lane, vector: types.none)
def _store(context, builder, sig, args):
    address = pointer(context, builder, sig, args, sig.args[3].count)
    alignment = context.get_abi_alignment(address.type.pointee.element)
    builder.store(args[3], address, align=alignment)
    return context.get_dummy_value()


@compiled(prefetch, lambda array, row, lane: types.none)
def _prefetch(context, builder, sig, args):
    number, byte = ir.IntType(32), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    address = builder.bitcast(pointer(context, builder, sig, args, CHANNELS), byte)
    builder.call(function, [address, number(0), number(2), number(1)])  # to read, into L2
    return context.get_dummy_value()


def _both_lanes(a, b):
    return a if isinstance(a, Lanes) and (a == b or isinstance(b, types.Number)) else None


def _broadcast(context, builder, sig, args):
    """Return both operands as vectors: a scalar is repeated in every lane."""
    a, b = args
    if isinstance(sig.args[1], Lanes):
        return a, b
    b = context.cast(builder, b, sig.args[1], sig.args[0].dtype)
    vector = ir.Constant(a.type, ir.Undefined)
    vector = builder.insert_element(vector, b, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), a.type.count), None)
    return a, builder.shuffle_vector(vector, vector, zeros)


def _arithmetic(function, instruction):
    # "contract": a multiplication and an addition may become one instruction.
    @compiled(function, _both_lanes)
    def _emit(context, builder, sig, args):
        a, b = _broadcast(context, builder, sig, args)
        return getattr(builder, instruction)(a, b, flags=("contract",))


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")


@compiled(maximum, _both_lanes)
def _maximum(context, builder, sig, args):
    a, b = _broadcast(context, builder, sig, args)
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@compiled(round_lanes, lambda vector: vector)
def _round_lanes(context, builder, sig, args):
    vector = args[0].type
    name = f"llvm.rint.v{WIDTH}f{32 if sig.args[0].dtype == types.float32 else 64}"
    rint = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector]), name)
    return builder.call(rint, args)


@compiled(power_of_two, lambda vector: vector)
def _power_of_two(context, builder, sig, args):
    """Write the exponent's bits: 2**n is n plus the bias, above the mantissa of 23 or 52 bits."""
    single = sig.args[0].dtype == types.float32
    integer = ir.VectorType(ir.IntType(32 if single else 64), WIDTH)
    bias, mantissa = (127, 23) if single else (1023, 52)
    bits = builder.fptosi(args[0], integer)
    bits = builder.add(bits, ir.Constant(integer, [bias] * WIDTH))
    bits = builder.shl(bits, ir.Constant(integer, [mantissa] * WIDTH))
    return builder.bitcast(bits, args[0].type)


def _halves(builder, vector, combine):
    """Reduce a vector to a scalar, the upper half into the lower one until one lane is left."""
    count = vector.type.count
    while count > 1:
        count //= 2
        mask = ir.VectorType(ir.IntType(32), count)
        lower = builder.shuffle_vector(vector, vector, ir.Constant(mask, list(range(count))))
        upper = ir.Constant(mask, list(range(count, 2 * count)))
        vector = combine(lower, builder.shuffle_vector(vector, vector, upper))
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


@compiled(highest, lambda vector: vector.dtype)
def _highest(context, builder, sig, args):
    return _halves(
        builder, args[0], lambda a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b)
    )


@compiled(total, lambda vector: vector.dtype)
def _total(context, builder, sig, args):
    return _halves(builder, args[0], builder.fadd)


@compiled(absolute, lambda vector: vector)
def _absolute(context, builder, sig, args):
    vector = args[0].type
    name = f"llvm.fabs.v{vector.count}f{32 if sig.args[0].dtype == types.float32 else 64}"
    fabs = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector]), name)
    return builder.call(fabs, args)


@compiled(where_equal, lambda a, b, values: values)
def _where_equal(context, builder, sig, args):
    a, b, values = args
    return builder.select(builder.fcmp_ordered("==", a, b), values, ir.Constant(values.type, None))


@compiled(where_unequal, lambda a, b, values: values)
def _where_unequal(context, builder, sig, args):
    a, b, values = args
    return builder.select(builder.fcmp_ordered("==", a, b), ir.Constant(values.type, None), values)


@compiled(has_nan, lambda vector: types.boolean)
def _has_nan(context, builder, sig, args):
    bits = ir.IntType(sig.args[0].count)
    nans = builder.bitcast(builder.fcmp_unordered("uno", args[0], args[0]), bits)
    return builder.icmp_unsigned("!=", nans, bits(0))
