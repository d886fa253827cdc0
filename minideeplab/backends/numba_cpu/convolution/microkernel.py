"""A matrix product that stays in registers: the step in which a fast convolution spends its time.

A block of ROWS x PANELS vectors of sums is held in registers while both operands stream past it:
at each step a panel gives one vector, a row one number, and every sum takes one multiplication and
addition. Nothing else reaches the machine's limit, since two of those can start in a cycle but only
two or three numbers can be loaded. How many sums fit is the size of the register file; the steps
of the two operands through memory are free, so that the same kernel serves forward and backward.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target

from minideeplab.backends.numba_cpu.convolution.simd import CHANNELS, VECTOR
from minideeplab.backends.numba_cpu.runtime.jit import compiled, inlined, inner

ZERO = ir.Constant(ir.IntType(64), 0)


def block(features: str, triple: str) -> tuple[int, int]:
    """Return (ROWS, PANELS) that fit the registers of a processor with these LLVM features."""
    if "+avx512f" in features:  # 32 registers, a vector each: 16 sums, 2 of a panel
        return 8, 2
    if "+avx" in features or triple.startswith(("aarch64", "arm64")):
        return 6, 1  # 16 registers of half a vector, or 32 of a quarter
    return 2, 1  # 16 registers of a quarter


_triple, _, _features = cpu_target.target_context.codegen().magic_tuple()
ROWS, PANELS = block(_features, _triple)
OTHER = ROWS + 1 if PANELS > 1 else ROWS - 1  # there is room for one more, or not


@inner
def cut(length):
    """Return how many blocks of ROWS and of OTHER make up a length.

    One that they cannot make up gets more blocks of ROWS than it has room for.
    """
    if OTHER > ROWS:
        few = length % ROWS
        many = length // ROWS - few
    else:
        few = -length % ROWS
        many = -(-length // ROWS) - few
    return (many, few) if many >= 0 else (-(-length // ROWS), 0)


def product(rows, panels, a, b, c, runs, length, add):
    """c[r, q] = sum over steps s of a[r, s] * b[q, s], or += if ``add``; c and b hold vectors.

    There are ``runs`` runs of ``length`` steps. The arrays are flat, and the numbers beside them
    count elements: a = (array, first, from row to row, from step to step, from run to run),
    b = (array, first, from panel to panel), whose steps follow one another,
    c = (array, first, from row to row, from panel to panel). ``rows`` and ``panels`` are literals.
    """
    for r in range(rows):
        for q in range(panels):
            place = c[1] + r * c[2] + q * c[3]
            total = c[0][place : place + CHANNELS] if add else np.zeros(CHANNELS, c[0].dtype)
            for s in range(runs * length):
                number = a[0][a[1] + r * a[2] + s % length * a[3] + s // length * a[4]]
                at = b[1] + q * b[2] + s * CHANNELS
                total = total + number * b[0][at : at + CHANNELS]
            c[0][place : place + CHANNELS] = total


def _operand(context, builder, kind, value):
    """Return a tuple's array as a pointer to its elements, and its numbers."""
    array, *numbers = cgutils.unpack_tuple(builder, value, len(kind))
    data = context.make_array(kind[0])(context, builder, array).data
    cast = zip(numbers, kind.types[1:], strict=True)
    return data, [context.cast(builder, number, k, types.int64) for number, k in cast]


def _vector_at(builder, data, *offsets):
    place = offsets[0]
    for offset in offsets[1:]:
        place = builder.add(place, offset)
    return builder.bitcast(builder.gep(data, [place]), VECTOR.as_pointer())


def _splat(builder, number):
    lanes = ir.VectorType(ir.IntType(32), CHANNELS)
    vector = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), number, ir.IntType(32)(0))
    return builder.shuffle_vector(vector, vector, ir.Constant(lanes, None))


def _times(builder, number, k):
    return builder.mul(number, ir.IntType(64)(k))


@compiled(product, lambda *_: types.none, literal=True)
def _product(context, builder, sig, args):
    rows, panels = (kind.literal_value for kind in sig.args[:2])
    a, (a_first, a_row, a_step, a_run) = _operand(context, builder, sig.args[2], args[2])
    b, (b_first, b_panel) = _operand(context, builder, sig.args[3], args[3])
    c, (c_first, c_row, c_panel) = _operand(context, builder, sig.args[4], args[4])
    runs, length, add = (
        context.cast(builder, args[k], sig.args[k], types.int64) for k in (5, 6, 7)
    )
    block = [(r, q) for r in range(rows) for q in range(panels)]
    heads = [builder.gep(a, [builder.add(a_first, _times(builder, a_row, r))]) for r in range(rows)]
    targets = [
        _vector_at(builder, c, c_first, _times(builder, c_row, r), _times(builder, c_panel, q))
        for r, q in block
    ]

    def step(position, offset, sums):
        """Return the sums after one step; b is read at ``position``, a at ``offset``."""
        vectors = [
            builder.load(
                _vector_at(builder, b, b_first, _times(builder, b_panel, q), position), align=4
            )
            for q in range(panels)
        ]
        numbers = [_splat(builder, builder.load(builder.gep(head, [offset]))) for head in heads]
        fused = ("contract",)  # a product and a sum may become one instruction
        products = [builder.fmul(numbers[r], vectors[q], flags=fused) for r, q in block]
        return [builder.fadd(s, p, flags=fused) for s, p in zip(sums, products, strict=True)]

    first = _initial(builder, targets, add)
    last = _loops(builder, runs, length, (a_step, a_run), first, step)
    for target, total in zip(targets, last, strict=True):
        builder.store(total, target, align=4)
    return context.get_dummy_value()


def _initial(builder, targets, add):
    """Return what the sums start from: zeros, or what is at their targets."""
    here = builder.block
    with builder.if_then(builder.icmp_signed("!=", add, ZERO)):
        held = [builder.load(target, align=4) for target in targets]
        there = builder.block
    sums = [builder.phi(VECTOR) for _ in targets]
    for total, value in zip(sums, held, strict=True):
        total.add_incoming(ir.Constant(VECTOR, None), here)
        total.add_incoming(value, there)
    return sums


def _loops(builder, runs, length, strides, first, step):
    """Emit the loops over runs and steps, with the sums as values that go round; return them."""
    before = builder.block
    outer, inner, between, after = (builder.append_basic_block(name) for name in "oisa")
    builder.branch(outer)
    builder.position_at_end(outer)
    run, start = builder.phi(ir.IntType(64)), builder.phi(ir.IntType(64))
    kept = [builder.phi(VECTOR) for _ in first]
    begin = builder.mul(run, strides[1])
    builder.branch(inner)
    builder.position_at_end(inner)
    count, position, offset = (builder.phi(ir.IntType(64)) for _ in range(3))
    sums = [builder.phi(VECTOR) for _ in first]
    new = step(position, offset, sums)
    one, width = ir.IntType(64)(1), ir.IntType(64)(CHANNELS)
    following = [builder.add(count, one), builder.add(position, width),
                 builder.add(offset, strides[0])]  # fmt: skip
    builder.cbranch(builder.icmp_signed("<", following[0], length), inner, between)
    builder.position_at_end(between)
    next_run = builder.add(run, one)
    builder.cbranch(builder.icmp_signed("<", next_run, runs), outer, after)
    builder.position_at_end(after)
    entering = [ZERO, ZERO, *first], [ZERO, start, begin, *kept]
    again = [next_run, following[1], *new], [*following, *new]
    _join([run, start, *kept], before, entering[0], between, again[0])
    _join([count, position, offset, *sums], outer, entering[1], inner, again[1])
    return new


def _join(phis, before, entering, back, again):
    for phi, first, later in zip(phis, entering, again, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, back)


@inlined
def begin(block, many):
    """Return where a block begins that ``cut`` tells of."""
    return block * ROWS if block < many else many * ROWS + (block - many) * OTHER


@inlined
def block_product(whole, both, a, b, c, runs, length, add):
    """Do ``product`` for a block: ROWS or, if not ``whole``, OTHER; PANELS panels, or 1."""
    if whole and both:
        product(ROWS, PANELS, a, b, c, runs, length, add)
    elif whole:
        product(ROWS, 1, a, b, c, runs, length, add)
    elif both:
        product(OTHER, PANELS, a, b, c, runs, length, add)
    else:
        product(OTHER, 1, a, b, c, runs, length, add)
