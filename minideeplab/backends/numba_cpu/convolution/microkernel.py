"""The matmul microkernel: a block of sums in registers, where a convolution spends its time.

ROWS x PANELS vectors of sums stay in registers while both operands are streamed. At each step a
panel gives one vector, a row gives one number, and every sum takes one fused multiply-add. Nothing
else reaches the processor's limit: two of these can start in a cycle, but only two or three numbers
can be loaded. The size of the register file sets the number of sums. The strides of both operands
are free, so the same kernel serves forward and backward.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target

from minideeplab.backends.numba_cpu.runtime.jit import compiled, inlined, inner
from minideeplab.backends.numba_cpu.simd import CHANNELS, VECTOR

INT = ir.IntType(64)


def block_size(features: str, triple: str) -> tuple[int, int]:
    """Return (ROWS, PANELS) that fit the registers of a processor with these LLVM features."""
    if "+avx512f" in features:  # 32 registers of a vector: 16 sums, 2 of a panel
        return 8, 2
    if "+avx" in features or triple.startswith(("aarch64", "arm64")):
        return 6, 1  # 16 registers of half a vector, or 32 of a quarter
    return 2, 1  # 16 registers of a quarter


_triple, _, _features = cpu_target.target_context.codegen().magic_tuple()
ROWS, PANELS = block_size(_features, _triple)
OTHER = ROWS + 1 if PANELS > 1 else ROWS - 1  # a second size, so that blocks can fill any length


@inner
def cut(length):
    """Return how many blocks of ROWS and how many of OTHER rows make up a length.

    If no such blocks make it up, there are enough of ROWS to cover it.
    """
    if OTHER > ROWS:
        others = length % ROWS
        blocks = length // ROWS - others
    else:
        others = -length % ROWS
        blocks = -(-length // ROWS) - others
    return (blocks, others) if blocks >= 0 else (-(-length // ROWS), 0)


@inlined
def block_start(block, blocks):
    """Return the first row of a block, of which the first ``blocks`` have ROWS rows."""
    return block * ROWS if block < blocks else blocks * ROWS + (block - blocks) * OTHER


@inlined
def matmul_block(full, both, a, b, c, runs, length, add):
    """Compute ``matmul`` for a block of ROWS rows, or OTHER if not ``full``."""
    if full:
        matmul(ROWS, both, a, b, c, runs, length, add)
    else:
        matmul(OTHER, both, a, b, c, runs, length, add)


def matmul(rows, both, a, b, c, runs, length, add):
    """c[r, q] = sum over steps s of a[r, s] * b[q, s], or += if ``add``; c and b hold vectors.

    q counts PANELS panels, or one if not ``both``. There are ``runs`` runs of ``length`` steps.
    The arrays are flat, and the numbers beside them count elements:
    a = (array, first, from row to row, from step to step, from run to run),
    b = (array, first, from panel to panel), whose steps are adjacent,
    c = (array, first, from row to row, from panel to panel). ``rows`` is a literal.
    """
    for r in range(rows):
        for q in range(PANELS if both else 1):
            place = c[1] + r * c[2] + q * c[3]
            total = c[0][place : place + CHANNELS] if add else np.zeros(CHANNELS, c[0].dtype)
            for s in range(runs * length):
                number = a[0][a[1] + r * a[2] + s % length * a[3] + s // length * a[4]]
                at = b[1] + q * b[2] + s * CHANNELS
                total = total + number * b[0][at : at + CHANNELS]
            c[0][place : place + CHANNELS] = total


@compiled(matmul, lambda *_: types.none, literal=True)
def _matmul(context, builder, sig, args):
    rows, operands = sig.args[0].literal_value, []
    for kind, value in zip(sig.args[2:5], args[2:5], strict=True):
        array, *numbers = cgutils.unpack_tuple(builder, value, len(kind))
        data = context.make_array(kind[0])(context, builder, array).data
        cast = zip(numbers, kind.types[1:], strict=True)
        operands.append((data, *(context.cast(builder, v, k, types.int64) for v, k in cast)))
    numbers = [context.cast(builder, args[k], sig.args[k], types.int64) for k in (5, 6, 7)]
    if PANELS == 1:
        _emit_block(builder, rows, 1, *operands, *numbers)
    else:
        both = context.cast(builder, args[1], sig.args[1], types.boolean)
        with builder.if_else(cgutils.as_bool_bit(builder, both)) as (wide, narrow):
            with wide:
                _emit_block(builder, rows, PANELS, *operands, *numbers)
            with narrow:
                _emit_block(builder, rows, 1, *operands, *numbers)
    return context.get_dummy_value()


def _emit_block(builder, rows, panels, a, b, c, runs, length, add):
    """Emit the loops over runs and steps for a block of sums, which LLVM keeps in registers."""
    (a, a_first, a_row, a_step, a_run), (b, b_first, b_panel) = a, b
    c, c_first, c_row, c_panel = c
    block = [(r, q) for r in range(rows) for q in range(panels)]
    heads = [_address(builder, a, a_first, (a_row, r)) for r in range(rows)]
    targets = [_address(builder, c, c_first, (c_row, r), (c_panel, q)) for r, q in block]
    targets = [builder.bitcast(target, VECTOR.as_pointer()) for target in targets]
    sums = [cgutils.alloca_once_value(builder, ir.Constant(VECTOR, None)) for _ in block]
    with builder.if_then(builder.icmp_signed("!=", add, add.type(0))):
        for total, target in zip(sums, targets, strict=True):
            builder.store(builder.load(target, align=4), total)
    position = cgutils.alloca_once_value(builder, b_first)
    with cgutils.for_range(builder, runs) as run, cgutils.for_range(builder, length) as step:
        at, fused = builder.load(position), ("contract",)  # it allows fused multiply-adds
        panel_starts = [_address(builder, b, at, (b_panel, q)) for q in range(panels)]
        vectors = [
            builder.load(builder.bitcast(start, VECTOR.as_pointer()), align=4)
            for start in panel_starts
        ]
        offset = builder.add(builder.mul(run.index, a_run), builder.mul(step.index, a_step))
        numbers = [_splat(builder, builder.load(builder.gep(head, [offset]))) for head in heads]
        for total, (r, q) in zip(sums, block, strict=True):
            product = builder.fmul(numbers[r], vectors[q], flags=fused)
            builder.store(builder.fadd(builder.load(total), product, flags=fused), total)
        builder.store(builder.add(at, INT(CHANNELS)), position)
    for target, total in zip(targets, sums, strict=True):
        builder.store(builder.load(total), target, align=4)


def _address(builder, data, first, *steps):
    """Return the address of ``data[first + stride * count + ...]`` for steps (stride, count)."""
    for stride, count in steps:
        first = builder.add(first, builder.mul(stride, INT(count)))
    return builder.gep(data, [first])


def _splat(builder, number):
    lanes = ir.VectorType(ir.IntType(32), CHANNELS)
    vector = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), number, ir.IntType(32)(0))
    return builder.shuffle_vector(vector, vector, ir.Constant(lanes, None))
