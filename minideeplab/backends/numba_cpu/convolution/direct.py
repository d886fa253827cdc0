"""The direct convolution with its sums in registers: exact, without unrolling anything.

What an output sees of its picture is ``kh`` runs of ``kw * C`` numbers in a band (``bands.py``), so
that the matrix product of ``registers.py`` can read it where it lies, for some outputs and sixteen
filters at a time. It takes strides, 1x1 kernels and the three channels of a picture; where the
filters do not fill their last panel, zeros do.

A row of outputs ends with a whole block, which may compute some outputs of the block before again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from minideeplab.backends.numba_cpu.convolution.epilogue import Finish
from minideeplab.backends.numba_cpu.convolution.input_blocks import bands, flattened, seen
from minideeplab.backends.numba_cpu.convolution.microkernel import PANELS, ROWS, product
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.simd import CHANNELS, load, store
from minideeplab.backends.numba_cpu.runtime.jit import inner
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_kernel, parallel_range
from minideeplab.backends.numba_cpu.runtime.scratch import aligned, per_thread_scratch
from minideeplab.backends.numba_cpu.simd import maximum
from minideeplab.ops.window import Pair


def suits(problem: Problem, dtype: np.dtype) -> bool:
    """Return whether the form exists here: float32, no groups, kernel rows whole, wide enough."""
    plain = problem.groups == 1 and dtype == np.float32 and problem.batch * problem.outputs > 0
    wide = flattened(problem).out[1] >= ROWS
    return plain and wide and (problem.dilation[1] == 1 or problem.kernel[1] == 1)


def pack(w: np.ndarray) -> np.ndarray:
    """Return filters w (K, C, kh, kw), of any strides, as [panel][kh, kw, C][16], zeros behind."""
    filters, channels, kh, kw = w.shape
    packed = aligned((-(-filters // CHANNELS), kh * kw * channels, CHANNELS), w.dtype)
    parallel_range(_pack, len(packed), w, packed, step=1)
    return packed


@parallel_kernel
def _pack(first, last, thread_id, w, packed):
    filters, channels, kh, kw = w.shape
    for index in range(first, last):
        panel, begin = packed[index], index * CHANNELS
        count = min(CHANNELS, filters - begin)
        panel[:, count:] = 0
        for i in range(kh):
            for j in range(kw):
                for c in range(channels):
                    for k in range(count):
                        panel[(i * kw + j) * channels + c, k] = w[begin + k, c, i, j]


def convolve(x: np.ndarray, packed: np.ndarray, finish: Finish, problem: Problem) -> np.ndarray:
    """Convolve pixels x (N, H, W, C) with packed filters: (N, P, Q, K)."""
    y = aligned((problem.batch, *problem.out, problem.filters), x.dtype)
    if y.size:
        flat = flattened(problem)
        x, out = x.reshape(flat.batch, *flat.size, -1), y.reshape(flat.batch, *flat.out, -1)
        _into(out, (0, 0), (1, 1), x, packed, finish, flat)
    return y


def _into(y, start: Pair, every: Pair, x, packed, finish: Finish, problem: Problem) -> None:
    """Write the outputs to every so many-th pixel of y (N, rows, columns, K) from ``start`` on."""
    cut, filters, whole = bands(problem), problem.filters, len(packed) * CHANNELS
    held = per_thread_scratch("band", (cut.numbers,), x.dtype)
    sums = per_thread_scratch("outputs", (cut.outputs if whole > filters else 0, whole), x.dtype)
    end = finish.vectors(filters, x.dtype, whole)
    rectangles, operands = cut.rectangles, (x, packed.reshape(-1), y)
    how = start, every, problem.kernel[0], cut.geometry, cut.order, end
    parallel_range(_through_bands, len(rectangles), rectangles, *operands, *how, held, sums, step=1)


@parallel_kernel
def _through_bands(
    first,
    last,
    thread_id,
    rectangles,
    x,
    weights,
    y,
    start,
    every,
    kernel,
    geometry,
    order,
    end,
    held,
    sums,
):
    """Compute the outputs of bands; those of filters that fill no panel go through ``sums``."""
    _, height, width, filters = y.shape
    flat, whole = y.reshape(-1, filters), end[0].size
    for index in range(first, last):
        rectangle = rectangles[index]
        image, top, left, rows, columns = rectangle
        pixels = seen(x, rectangle, geometry, 0, held[thread_id])
        place = (image * height + start[0] + top * every[0]) * width + start[1] + left * every[1]
        targets, direct = (place, every[0] * width, every[1]), whole == filters
        rows_of = flat if direct else sums[thread_id]
        there = targets if direct else (0, columns, 1)
        _outputs(pixels, weights, rows_of, there, (rows, columns, kernel), order, end)
        if not direct:
            _copy(sums[thread_id], flat, targets, rows, columns)


@inner
def _copy(sums, y, targets, rows, columns):
    place, y_line, y_pixel = targets
    for p in range(rows):
        for q in range(columns):
            source, target = sums[p * columns + q], y[place + p * y_line + q * y_pixel]
            for k in range(target.size):
                target[k] = source[k]


@inner
def _outputs(seen, weights, y, targets, shape, order, finish):
    """Compute ``shape`` = (rows, columns, kernel rows) outputs from a band, to rows of y (M, K).

    ``targets`` = (first row of y, from line to line, from output to output).
    """
    first, y_line, y_pixel = targets
    line, pixel, run, length = order
    flat, filters = y.reshape(-1), y.shape[1]
    size = shape[2] * length * CHANNELS
    for panel in range(0, filters // CHANNELS, PANELS):
        both = PANELS == 1 or panel + 1 < filters // CHANNELS
        for p in range(shape[0]):
            for block in range(0, shape[1], ROWS):
                q = min(block, shape[1] - ROWS)
                place = first + p * y_line + q * y_pixel
                a = (seen, p * line + q * pixel, pixel, 1, run)
                b = (weights, panel * size, size)
                c = (flat, place * filters + panel * CHANNELS, y_pixel * filters, CHANNELS)
                if both:
                    product(ROWS, PANELS, a, b, c, shape[2], length, 0)
                else:
                    product(ROWS, 1, a, b, c, shape[2], length, 0)
                for k in range(PANELS if both else 1):
                    end_rows(y, place, y_pixel, ROWS, (panel + k) * CHANNELS, finish)


@inner
def end_rows(y, place, step, count, lane, finish):
    """Finish sixteen filters of ``count`` outputs, which are in a cache still."""
    gain, shift, least = finish
    factor, summand = load(gain, 0, lane), load(shift, 0, lane)
    floor = load(gain, -1, lane) + least  # zeros + least
    for r in range(count):
        value = load(y, place + r * step, lane) * factor + summand
        store(y, place + r * step, lane, maximum(floor, value))  # in this order a NaN stays


def input_gradient(dy: np.ndarray, w: np.ndarray, problem: Problem) -> np.ndarray | None:
    """Return dx (N, H, W, C) for dy (N, P, Q, K); None where the form does not exist.

    Pixels whose positions have the same remainder modulo the stride meet the same taps: for each
    pair of remainders, dx is a convolution of dy at stride 1 with those taps in reverse order.
    """
    pairs = [(r, c) for r in _remainders(problem, 0) for c in _remainders(problem, 1)]
    parts = [_part(problem, *pair) for pair in pairs]
    exist = all(  # a part is computed row by row, 1x1 or not, so its rows must hold a block
        min(part.kernel) > 0 and part.out[1] >= ROWS and suits(part, dy.dtype) for part in parts
    )
    if problem.groups > 1 or problem.dilation != (1, 1) or not exist:
        return None
    dx = aligned((problem.batch, *problem.size, problem.channels), dy.dtype)
    turned = w.swapaxes(0, 1)  # (C, K, kh, kw)
    for part, (rows, columns) in zip(parts, pairs, strict=True):
        packed = pack(turned[:, :, rows.taps, columns.taps])
        _into(dx, (rows.first, columns.first), problem.stride, dy, packed, Finish(), part)
    return dx


@dataclass(frozen=True)
class _Remainder:
    """The pixels of an axis that meet the same taps: ``first``, ``first + stride``, ..."""

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
