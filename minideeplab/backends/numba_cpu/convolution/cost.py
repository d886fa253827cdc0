"""Choose the algorithm of a convolution: count the work of each one and take the least.

The unit is one multiply-add of a matmul. Work on a number outside of matmuls (unrolling,
transforming, adding) costs as much as some tens of these, since it waits for memory. The weights
below were fitted to timings of VGG's layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from minideeplab.backends.numba_cpu.convolution import direct, direct_taps, shifted_gemm, winograd
from minideeplab.backends.numba_cpu.convolution.grid import grid_of
from minideeplab.backends.numba_cpu.convolution.input_blocks import flattened
from minideeplab.backends.numba_cpu.convolution.microkernel import ROWS
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.transforms import N
from minideeplab.backends.numba_cpu.simd import CHANNELS

ALGORITHMS = ("taps", "im2col", "direct", "winograd", "polyphase")
BLAS = 1.6  # time of a multiply-add by BLAS, in those of the direct form; narrow matrices included
ENDS = 1.6  # the last block of a row overlaps the one before, and rows are short
UNROLL, SHIFT = 16, 24  # multiply-adds that take as long, for each number
TRANSFORM = 36
FILTERS = 11
SMALL = 1 << 24  # multiply-adds below which the exact form is fast enough


@dataclass(frozen=True)
class Choice:
    """An algorithm and its work; ``winograd`` if it is in Winograd's form."""

    algorithm: str
    winograd: bool
    work: float


def choices(problem: Problem, dtype: np.dtype) -> list[Choice]:
    """Return every way to compute the problem, least work first."""
    channels = problem.channels // problem.groups
    pairs = problem.batch * problem.outputs * problem.taps
    inside = problem.batch * shifted_gemm.reached(problem)
    unroll = 0 if problem.pointwise else UNROLL * problem.groups
    found = [
        Choice("im2col", False, pairs * channels * (BLAS * problem.filters + unroll)),
        Choice("taps", False, inside * _tap_work(problem, dtype)),
    ]
    if direct.suits(problem, dtype):
        width, filters = flattened(problem).out[1], -(-problem.filters // CHANNELS) * CHANNELS
        blocks = -(-width // ROWS) * ROWS / width  # outputs computed twice
        found.append(Choice("direct", False, pairs * channels * filters * blocks))
    if winograd.suits(problem, dtype):
        name = "winograd" if problem.dilation == (1, 1) else "polyphase"
        found.append(Choice(name, True, _winograd_work(problem)))
    return sorted(found, key=lambda choice: choice.work)


def _tap_work(problem: Problem, dtype: np.dtype) -> float:
    channels, filters = problem.channels // problem.groups, problem.filters
    if direct_taps.suits(problem, dtype):
        return ENDS * channels * filters
    return BLAS * channels * max(filters, CHANNELS) + SHIFT * filters


def _winograd_work(problem: Problem) -> float:
    points, tiles = N**2, grid_of(problem).count
    products = problem.channels * problem.filters
    moved = tiles * (problem.channels + problem.filters)
    return points * (tiles * products + TRANSFORM * moved + FILTERS * products)


@lru_cache(maxsize=1024)  # a network computes the same layers again and again
def choose(
    problem: Problem, dtype: np.dtype, algorithm: str = "auto", exact: bool = False
) -> Choice:
    """Return the choice of that name, or of least work for "auto".

    Winograd's form rounds more (see ``tile_accuracy.py``), so "auto" takes
    an exact one if asked to, in float64 and for small problems. A form that does not exist for the
    problem (Winograd's needs 3x3 kernels, stride 1) is replaced by im2col.
    """
    found = choices(problem, dtype)
    if algorithm != "auto":
        named = [choice for choice in found if choice.algorithm == algorithm]
        return (named or [c for c in found if c.algorithm == "im2col"])[0]
    products = problem.batch * problem.outputs * problem.taps * problem.channels * problem.filters
    if exact or products // problem.groups < SMALL:
        found = [choice for choice in found if not choice.winograd]
    return found[0]


def explanation(problem: Problem, dtype: np.dtype, chosen: Choice) -> str:
    """Return the table of choices as text, the chosen one marked."""
    lines = [f"convolution of {problem.batch} x {problem.channels} x {problem.size} with "
             f"{problem.filters} filters {problem.kernel}, stride {problem.stride}, "
             f"dilation {problem.dilation}, {dtype}"]  # fmt: skip
    for choice in choices(problem, dtype):
        name = choice.algorithm + (" F(4, 3)" if choice.winograd else "")
        mark = "  <- taken" if choice == chosen else ""
        lines.append(f"  {name:18} {choice.work / 1e9:10.3f} G products{mark}")
    return "\n".join(lines)
