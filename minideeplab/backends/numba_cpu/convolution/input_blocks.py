"""Input blocks: the input rows that some rows of outputs see, with the padding written out.

A block is one flat array. The taps of a kernel row are one run of numbers in it, and the distances
between outputs and between kernel rows are constant: see ``direct.py``. A 1x1 convolution needs no
copy; all pixels of its batch are treated as one row.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from minideeplab.backends.numba_cpu.convolution.microkernel import ROWS
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.runtime.jit import inner
from minideeplab.backends.numba_cpu.runtime.parallel import spans

BLOCK_BYTES = 1 << 17  # of inputs, so that they and the filters fit an L2 cache
LEAST_PIXELS = 128  # in a block of a 1x1 convolution: with fewer the filters are read too often
BLOCKS = 8  # fewest blocks of an image, if it has as many rows; of a long row, a multiple of it


class Strides(NamedTuple):
    """How far apart the operands of a matmul are in a block, in numbers."""

    line: int  # from output row to output row
    pixel: int  # from output to output
    run: int  # from kernel row to kernel row
    length: int  # of a kernel row


class Geometry(NamedTuple):
    """Where the inputs of a block are in an image."""

    pointwise: bool
    size: tuple[int, int]
    stride: tuple[int, int]
    start: tuple[int, int]
    kernel: tuple[int, int]
    dilation: tuple[int, int]
    channels: int


class InputBlocks(NamedTuple):
    """Rectangles of outputs, and where their matmuls find what they see."""

    rectangles: np.ndarray  # (count, 5): image, top, left, rows, columns
    strides: Strides
    geometry: Geometry
    numbers: int  # in the largest block, and some after it that may be read
    outputs: int  # of the largest block


def flattened(problem: Problem) -> Problem:
    """Return a 1x1 convolution as that of one row with all pixels of the batch; others as is."""
    row = (1, problem.batch * problem.outputs)
    return replace(problem, batch=1, size=row, out=row) if problem.pointwise else problem


@lru_cache(maxsize=256)
def input_blocks(problem: Problem) -> InputBlocks:
    """Return blocks that cover the outputs."""
    rectangles = np.array(_rectangles(problem), np.int64)
    stride, kernel, channels = problem.stride, problem.kernel, problem.channels
    row = _width(problem) * channels
    strides = Strides(
        row * stride[0], channels * stride[1], row * problem.dilation[0], channels * kernel[1]
    )
    where = problem.size, stride, problem.start, kernel, problem.dilation
    rows, columns = rectangles[:, 3:].max(0).tolist()
    height = (rows - 1) * stride[0] + (kernel[0] - 1) * problem.dilation[0] + 1
    numbers = height * ((columns - 1) * stride[1] + kernel[1]) * channels
    geometry = Geometry(problem.pointwise, *where, channels)
    return InputBlocks(rectangles, strides, geometry, numbers + ROWS, rows * columns)


def _rectangles(problem: Problem) -> list[tuple[int, int, int, int, int]]:
    """Return whole rows, or parts of a single row, as ``InputBlocks.rectangles``."""
    height, width = problem.out
    if problem.pointwise and height == 1:
        blocks = max(1, width // ROWS)  # the last one may be longer
        most = max(LEAST_PIXELS, BLOCK_BYTES // (4 * problem.channels)) // ROWS
        count = -(-blocks // most)
        if count > 1:  # threads end at about the same time
            count = min(blocks, -(-count // BLOCKS) * BLOCKS)
        ends = [k * blocks // count * ROWS for k in range(count)] + [width]
        return [
            (n, 0, first, 1, stop - first)
            for n in range(problem.batch)
            for first, stop in pairwise(ends)
        ]
    row_bytes = problem.stride[0] * _width(problem) * problem.channels * 4
    rows = max(1, min(BLOCK_BYTES // row_bytes, -(-height // BLOCKS)))
    cuts = spans(height, rows)
    return [(n, top, 0, end - top, width) for n in range(problem.batch) for top, end in cuts]


def _width(problem: Problem) -> int:
    """Return the pixels of an input row that the outputs of a row see."""
    return (problem.out[1] - 1) * problem.stride[1] + problem.kernel[1]


@inner
def read_block(x, rectangle, geometry, beyond, scratch):
    """Return what a rectangle of outputs sees of pixels x (N, H, W, C), flat.

    A 1x1 convolution reads the pixels in place; others a copy in ``scratch``. ``beyond`` numbers
    after the last one may be read; their values do not matter.
    """
    (height, width), stride, start = geometry.size, geometry.stride, geometry.start
    image, top, left, rows, columns = rectangle
    channels = geometry.channels
    if geometry.pointwise:
        first = (image * height + top) * width + left
        stop = (first + (rows - 1) * width + columns) * channels + beyond
        if stop <= x.size:
            return x.reshape(-1)[first * channels : stop]
    lines = (rows - 1) * stride[0] + (geometry.kernel[0] - 1) * geometry.dilation[0] + 1
    length = ((columns - 1) * stride[1] + geometry.kernel[1]) * channels
    block = scratch[: lines * length].reshape(lines, length)
    lines_of_image = x[image].reshape(height, width * channels)
    to_left = (left * stride[1] - start[1]) * channels
    _fill(lines_of_image, block, top * stride[0] - start[0], to_left)
    return scratch


@inner
def _fill(x, target, top, left):
    """Copy rows from (top, left) on of x (H, W * C), zero outside."""
    for row in range(target.shape[0]):
        h, line = top + row, target[row]
        if h < 0 or h >= x.shape[0]:
            line[:] = 0
            continue
        first = min(line.size, max(0, -left))
        last = max(first, min(line.size, x.shape[1] - left))
        line[:first] = 0
        line[last:] = 0
        inside, source = line[first:last], x[h, left + first : left + last]
        for c in range(inside.size):
            inside[c] = source[c]
