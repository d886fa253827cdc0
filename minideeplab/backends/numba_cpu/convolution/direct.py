"""The direct convolution with its sums in registers: exact, without unrolling anything.

What an output sees of its image is ``kh`` runs of ``kw * C`` numbers of an input block
(``input_blocks.py``). The matmul of ``microkernel.py`` reads them in place, for some outputs and
sixteen filters at a time. It supports strides, 1x1 kernels and the three channels of an image. The
last panel of filters is padded with zeros.

A row of outputs ends with a full block, which may compute outputs of the block before again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from minideeplab.backends.numba_cpu.convolution.epilogue import Epilogue, apply_to_rows
from minideeplab.backends.numba_cpu.convolution.input_blocks import (
    flattened,
    input_blocks,
    read_block,
)
from minideeplab.backends.numba_cpu.convolution.microkernel import PANELS, ROWS, matmul
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.runtime.jit import inner
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_kernel, parallel_range
from minideeplab.backends.numba_cpu.runtime.scratch import aligned, per_thread_scratch
from minideeplab.backends.numba_cpu.simd import CHANNELS


class Target(NamedTuple):
    """Pixels (N, rows, columns, K), of which every ``step``-th from ``start`` on is written."""

    pixels: np.ndarray
    start: tuple[int, int]
    step: tuple[int, int]


def suits(problem: Problem, dtype: np.dtype) -> bool:
    """Return whether the form exists here: float32, no groups, kernel rows whole, wide enough."""
    plain = problem.groups == 1 and dtype == np.float32 and problem.batch * problem.outputs > 0
    wide = flattened(problem).out[1] >= ROWS
    return plain and wide and (problem.dilation[1] == 1 or problem.kernel[1] == 1)


def pack(w: np.ndarray) -> np.ndarray:
    """Return filters w (K, C, kh, kw) as [panel][kh, kw, C][16], padded with zeros."""
    filters, channels, kh, kw = w.shape
    packed = aligned((-(-filters // CHANNELS), kh * kw * channels, CHANNELS), w.dtype)
    parallel_range(_pack, len(packed), w, packed, step=1)
    return packed


@parallel_kernel
def _pack(first, last, thread_id, w, packed):
    filters, channels, kh, kw = w.shape
    for index in range(first, last):
        panel, start = packed[index], index * CHANNELS
        count = min(CHANNELS, filters - start)
        panel[:, count:] = 0
        for i in range(kh):
            for j in range(kw):
                for c in range(channels):
                    for k in range(count):
                        panel[(i * kw + j) * channels + c, k] = w[start + k, c, i, j]


def convolve(x: np.ndarray, packed: np.ndarray, epilogue: Epilogue, problem: Problem) -> np.ndarray:
    """Convolve pixels x (N, H, W, C) with packed filters: (N, P, Q, K)."""
    y = aligned((problem.batch, *problem.out, problem.filters), x.dtype)
    if y.size:
        flat = flattened(problem)
        x, out = x.reshape(flat.batch, *flat.size, -1), y.reshape(flat.batch, *flat.out, -1)
        _convolve_into(Target(out, (0, 0), (1, 1)), x, packed, epilogue, flat)
    return y


def _convolve_into(target: Target, x, packed, epilogue: Epilogue, problem: Problem) -> None:
    blocks, filters, padded = input_blocks(problem), problem.filters, len(packed) * CHANNELS
    held = per_thread_scratch("block", (blocks.numbers,), x.dtype)
    count = blocks.outputs if padded > filters else 0
    outputs = per_thread_scratch("outputs", (count, padded), x.dtype)
    vectors = epilogue.vectors(filters, x.dtype, padded)
    parallel_range(_convolve_blocks, len(blocks.rectangles), blocks, x, packed.reshape(-1), target,
                   vectors, held, outputs, step=1)  # fmt: skip


@parallel_kernel
def _convolve_blocks(first, last, thread_id, blocks, x, weights, target, epilogue, held, outputs):
    """Compute the outputs of input blocks, through ``outputs`` if filters do not fill a panel."""
    _, height, width, filters = target.pixels.shape
    flat, padded = target.pixels.reshape(-1, filters), epilogue.scale.size
    start, step, kernel = target.start, target.step, blocks.geometry.kernel[0]
    for index in range(first, last):
        rectangle = blocks.rectangles[index]
        image, top, left, rows, columns = rectangle
        inputs = read_block(x, rectangle, blocks.geometry, 0, held[thread_id])
        line = image * height + start[0] + top * step[0]
        places = line * width + start[1] + left * step[1], step[0] * width, step[1]
        shape, direct = (rows, columns, kernel), padded == filters
        y = flat if direct else outputs[thread_id]
        to = places if direct else (0, columns, 1)
        _block_outputs(inputs, weights, y, to, shape, blocks.strides, epilogue)
        if not direct:
            _copy(outputs[thread_id], flat, places, rows, columns)


@inner
def _copy(source, y, places, rows, columns):
    first, y_line, y_pixel = places
    for p in range(rows):
        for q in range(columns):
            values, target = source[p * columns + q], y[first + p * y_line + q * y_pixel]
            for k in range(target.size):
                target[k] = values[k]


@inner
def _block_outputs(inputs, weights, y, places, shape, strides, epilogue):
    """Compute ``shape`` = (rows, columns, kernel rows) outputs of a block, to rows of y (M, K).

    ``places`` = (first row of y, from line to line, from output to output).
    """
    first, y_line, y_pixel = places
    flat, filters, length = y.reshape(-1), y.shape[1], strides.length
    size = shape[2] * length * CHANNELS
    for panel in range(0, filters // CHANNELS, PANELS):
        both = PANELS == 1 or panel + 1 < filters // CHANNELS
        for p in range(shape[0]):
            for block in range(0, shape[1], ROWS):
                q = min(block, shape[1] - ROWS)
                row = first + p * y_line + q * y_pixel
                a_first = p * strides.line + q * strides.pixel
                a = (inputs, a_first, strides.pixel, 1, strides.run)
                b = (weights, panel * size, size)
                c = (flat, row * filters + panel * CHANNELS, y_pixel * filters, CHANNELS)
                matmul(ROWS, both, a, b, c, shape[2], length, 0)
                for k in range(PANELS if both else 1):
                    apply_to_rows(y, row, y_pixel, ROWS, (panel + k) * CHANNELS, epilogue)


def input_gradient(dy: np.ndarray, w: np.ndarray, problem: Problem) -> np.ndarray | None:
    """Return dx (N, H, W, C) for dy (N, P, Q, K); None where the form does not exist.

    Pixels whose positions have the same remainder modulo the stride see the same taps: for each
    pair of remainders, dx is a convolution of dy at stride 1 with those taps in reverse order.
    """
    pairs = [(r, c) for r in _remainders(problem, 0) for c in _remainders(problem, 1)]
    parts = [_part(problem, *pair) for pair in pairs]
    exist = all(  # a part is computed row by row, 1x1 or not, so a row must hold a block
        min(part.kernel) > 0 and part.out[1] >= ROWS and suits(part, dy.dtype) for part in parts
    )
    if problem.groups > 1 or problem.dilation != (1, 1) or not exist:
        return None
    dx = aligned((problem.batch, *problem.size, problem.channels), dy.dtype)
    transposed = w.swapaxes(0, 1)  # (C, K, kh, kw)
    for part, (rows, columns) in zip(parts, pairs, strict=True):
        packed = pack(transposed[:, :, rows.taps, columns.taps])
        target = Target(dx, (rows.first, columns.first), problem.stride)
        _convolve_into(target, dy, packed, Epilogue(), part)
    return dx


@dataclass(frozen=True)
class _Remainder:
    """The pixels of an axis that see the same taps: ``first``, ``first + stride``, ..."""

    first: int
    pixels: int
    taps: slice  # reversed
    count: int
    padding: int


def _remainders(problem: Problem, axis: int) -> list[_Remainder]:
    stride, start = problem.stride[axis], problem.start[axis]
    found = []
    for first in range(min(stride, problem.size[axis])):
        output, tap = divmod(first + start, stride)  # the last output that sees it, with which tap
        count = -(-(problem.kernel[axis] - tap) // stride)
        last, stop = tap + (count - 1) * stride, tap - stride
        taps = slice(last, stop if stop >= 0 else None, -stride)
        pixels = -(-(problem.size[axis] - first) // stride)
        found.append(_Remainder(first, pixels, taps, count, count - 1 - output))
    return found


def _part(problem: Problem, rows: _Remainder, columns: _Remainder) -> Problem:
    """Return the convolution of dy that gives the pixels of two remainders."""
    return replace(
        problem,
        size=problem.out,
        out=(rows.pixels, columns.pixels),
        channels=problem.filters,
        filters=problem.channels,
        kernel=(rows.count, columns.count),
        stride=(1, 1),
        start=(rows.padding, columns.padding),
    )
