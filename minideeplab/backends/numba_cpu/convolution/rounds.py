"""The steps of Winograd's form as compiled loops over tasks that the threads share.

In a round each thread claims blocks of tiles, points or segments until none are left. ``blocks``
(count, 2) holds the first tile of each block and the first one behind it. ``v``, ``u``, ``p``,
``e`` and ``du`` are ``Panels.layout`` of inputs, filters, products, cotangents and gradients;
``inside`` and ``outside`` are the grid's; ``room`` is ``Grid.room()`` of this thread.
"""

from __future__ import annotations

from minideeplab.backends.numba_cpu.atomic import claim
from minideeplab.backends.numba_cpu.convolution.panels import add_gradient, multiply
from minideeplab.backends.numba_cpu.convolution.tiles import (
    cotangent_tiles,
    input_tiles,
    output_tiles,
)
from minideeplab.backends.numba_cpu.jit import jit


@jit
def blocks_through(counters, blocks, n, x, inside, v, u, p, y, outside, finish, room, checks):
    """Take each block of tiles through all steps, with panels that hold one block."""
    index = claim(counters)
    while index < len(blocks):
        first, last = blocks[index]
        span = first, last, first
        input_tiles(x, v, room, n, span, inside)
        multiply(v, u, p, last - first, 0, n * n)
        checks[index] = output_tiles(p, y, room, finish, n, span, outside)
        index = claim(counters)


@jit
def enter(counters, blocks, n, x, inside, v, room):
    """Transform the inputs of all blocks."""
    index = claim(counters)
    while index < len(blocks):
        first, last = blocks[index]
        input_tiles(x, v, room, n, (first, last, blocks[0, 0]), inside)
        index = claim(counters)


@jit
def multiply_points(counters, n, v, u, p, tiles):
    """Multiply the matrices of all points."""
    point = claim(counters)
    while point < n * n:
        multiply(v, u, p, tiles, point, point + 1)
        point = claim(counters)


@jit
def leave(counters, blocks, n, p, y, outside, finish, room, checks):
    """Transform the products of all blocks back."""
    index = claim(counters)
    while index < len(blocks):
        first, last = blocks[index]
        span = first, last, blocks[0, 0]
        checks[index] = output_tiles(p, y, room, finish, n, span, outside)
        index = claim(counters)


@jit
def enter_both(counters, blocks, n, x, inside, v, dy, outside, e, room):
    """Transform the inputs and the cotangents of all blocks."""
    index = claim(counters)
    while index < len(blocks):
        first, last = blocks[index]
        span = first, last, blocks[0, 0]
        input_tiles(x, v, room, n, span, inside)
        cotangent_tiles(dy, e, room, n, span, outside)
        index = claim(counters)


@jit
def add_points(counters, n, v, e, du, tiles, add):
    """Write the gradients of all points to du, or add them."""
    point = claim(counters)
    while point < n * n:
        add_gradient(v, e, du, tiles, point, point + 1, add)
        point = claim(counters)


@jit
def sum_segments(counters, blocks, n, x, inside, v, dy, outside, e, parts, du, room):
    """Sum each segment's gradient in one of the ``parts``, over every so many-th block."""
    _, panels, stride, hop = du
    segment = claim(counters)
    while segment < len(parts):
        part = parts[segment].reshape(-1), panels, stride, hop
        for index in range(segment, len(blocks), len(parts)):
            first, last = blocks[index]
            span = first, last, first
            input_tiles(x, v, room, n, span, inside)
            cotangent_tiles(dy, e, room, n, span, outside)
            add_gradient(v, e, part, last - first, 0, n * n, index > segment)
        segment = claim(counters)


@jit
def join_segments(counters, parts, du, step):
    """Write the sum of the parts to du, ``step`` vectors a task."""
    first = claim(counters) * step
    while first < len(du):
        last = min(first + step, len(du))
        for row in range(first, last):
            for lane in range(du.shape[1]):
                total = parts[0, row, lane]
                for segment in range(1, len(parts)):
                    total += parts[segment, row, lane]
                du[row, lane] = total
        first = claim(counters) * step
