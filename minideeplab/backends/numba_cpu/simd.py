"""Eight numbers in one register: the vector type in which the CRF's kernels are written.

A pixel's labels lie side by side in memory, in rows padded to a multiple of WIDTH. Numba leaves
loops over so few numbers scalar, so the kernels name the vectors themselves:

    total = load(values, row, lane)             # the WIDTH numbers values[row, lane : lane + WIDTH]
    total = total + load(values, other, lane) * weight
    store(values, row, lane, total)

The same lines run uncompiled, where a vector is an ordinary array of WIDTH elements.
"""

from __future__ import annotations

import operator
from math import factorial

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.extending import overload, register_model

from minideeplab.backends.numba_cpu.runtime.jit import compiled

WIDTH = 8


def load(array: np.ndarray, row: int, lane: int) -> np.ndarray:
    """Return ``array[row, lane : lane + WIDTH]`` of a C-contiguous array as one vector."""
    return array[row, lane : lane + WIDTH].copy()


def store(array: np.ndarray, row: int, lane: int, vector: np.ndarray) -> None:
    """Write a vector to ``array[row, lane : lane + WIDTH]``."""
    array[row, lane : lane + WIDTH] = vector


def maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the larger of two vectors, lane by lane."""
    return np.maximum(a, b)


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


def padded(count: int) -> int:
    """Return ``count`` rounded up to whole vectors."""
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


@compiled(store, lambda array, row, lane, vector: types.none)
def _store(context, builder, sig, args):
    address = pointer(context, builder, sig, args)
    alignment = context.get_abi_alignment(address.type.pointee.element)
    builder.store(args[3], address, align=alignment)
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
    # "contract" lets a product and a sum become one instruction.
    @compiled(function, _both_lanes)
    def _emit(context, builder, sig, args):
        a, b = _broadcast(context, builder, sig, args)
        return getattr(builder, instruction)(a, b, flags=("contract",))


for _function, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
):
    _arithmetic(_function, _instruction)


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
    count = WIDTH
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


def exponential(vector: np.ndarray) -> np.ndarray:
    """Return exp of numbers <= 0, to about a unit in the last place; 0 where it would underflow."""
    return np.exp(vector)


LOG2_E = 1 / np.log(2)
LN2_HIGH, LN2_LOW = 0.693359375, -2.121944400546905827679e-4  # ln 2; whole n * LN2_HIGH is exact


def _series(vector, coefficients, lowest):
    # 2^n exp(r) with |r| <= ln(2) / 2. Below ``lowest``, n is the exponent whose bits mean zero.
    x = maximum(vector, lowest)
    n = round_lanes(x * LOG2_E)
    r = x - n * LN2_HIGH - n * LN2_LOW
    y = r * coefficients[0] + coefficients[1]
    for k in range(2, len(coefficients)):
        y = y * r + coefficients[k]
    return y * power_of_two(n)


_series = njit(_series, nogil=True)
SINGLE = tuple(1 / factorial(k) for k in range(7, -1, -1))
DOUBLE = tuple(1 / factorial(k) for k in range(13, -1, -1))


@overload(exponential)
def _exponential(vector):
    if vector.dtype == types.float32:
        return lambda vector: _series(vector, SINGLE, -88.0)
    return lambda vector: _series(vector, DOUBLE, -709.0)
