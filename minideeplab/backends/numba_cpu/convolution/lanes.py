"""Sixteen channels of a pixel as one vector; a row number below zero stands for the padding."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import types

from minideeplab.backends.numba_cpu.crf.lanes import Lanes, compiled, pointer

CHANNELS = 16


def load(array: np.ndarray, row: int, lane: int) -> np.ndarray:
    """Return ``array[row, lane : lane + CHANNELS]``, or zeros if ``row`` is negative."""
    return array[row, lane : lane + CHANNELS] if row >= 0 else np.zeros(CHANNELS, array.dtype)


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
    vector = builder.load(address, align=4)
    return builder.select(outside, ir.Constant(vector.type, None), vector)


@compiled(store, lambda array, row, lane, vector: types.none)
def _store(context, builder, sig, args):
    address = pointer(context, builder, sig, args, CHANNELS)
    builder.store(args[3], address, align=4)
    return context.get_dummy_value()
