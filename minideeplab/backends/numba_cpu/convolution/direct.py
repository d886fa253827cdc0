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

from minideeplab.backends.numba_cpu.convolution.bands import bands, flattened, seen, steps
from minideeplab.backends.numba_cpu.convolution.finish import Finish
from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS, load, store
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.registers import PANELS, ROWS, product
from minideeplab.backends.numba_cpu.crf.lanes import maximum
from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.threads import aligned, parallel_for, scratch
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
    parallel_for(lambda k: _pack(w[k * CHANNELS : (k + 1) * CHANNELS], packed[k]), len(packed))
    return packed


@jit
def _pack(w, panel):
    filters, channels, kh, kw = w.shape
    panel[:, filters:] = 0
    for i in range(kh):
        for j in range(kw):
            for c in range(channels):
                for k in range(filters):
                    panel[(i * kw + j) * channels + c, k] = w[k, c, i, j]


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
    tasks, by, kernel = bands(problem), steps(problem), problem.kernel[0]
    filters, whole = problem.filters, len(packed) * CHANNELS
    end, weights = finish.vectors(filters, x.dtype, whole), packed.reshape(-1)
    order = (by.line, by.pixel, by.run, by.length)

    def run(index: int) -> None:
        band = tasks[index]
        top, left = start[0] + band.top * every[0], start[1] + band.left * every[1]
        shape, pixels = (band.rows, band.columns, kernel), seen(x, problem, band)
        if whole == filters:
            place = (band.image * y.shape[1] + top) * y.shape[2] + left
            targets = (place, every[0] * y.shape[2], every[1])
            _outputs(pixels, weights, y.reshape(-1, filters), targets, shape, order, end)
            return
        rows = scratch("outputs", (band.rows * band.columns, whole), x.dtype)
        _outputs(pixels, weights, rows, (0, band.columns, 1), shape, order, end)
        part = y[band.image, top :: every[0], left :: every[1]][: band.rows, : band.columns]
        part[:] = rows.reshape(band.rows, band.columns, whole)[:, :, :filters]

    parallel_for(run, len(tasks))


@jit
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
                    _end(y, place, y_pixel, (panel + k) * CHANNELS, finish)


@jit
def _end(y, place, step, lane, finish):
    """Finish sixteen filters of a block of outputs, which are in the first cache still."""
    gain, shift, least = finish
    factor, summand = load(gain, 0, lane), load(shift, 0, lane)
    floor = load(gain, -1, lane) + least  # zeros + least
    for r in range(ROWS):
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
