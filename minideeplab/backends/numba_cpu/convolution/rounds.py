"""The steps of Winograd's form as compiled loops over tasks that the threads share.

In a round each thread claims blocks of tiles, points or segments until none are left. ``blocks``
(count, 2) holds the first tile of each block and the first one behind it. ``v``, ``u``, ``p``,
``e`` and ``du`` are ``Panels.layout`` of inputs, filters, products, cotangents and gradients;
``inside`` and ``outside`` are the grid's; ``room`` is ``Grid.room()`` of this thread. Filters and
their gradients are taken in parts of ``size`` = (panels of the filters, panels of the channels).
"""

from __future__ import annotations

from minideeplab.backends.numba_cpu.atomic import claim
from minideeplab.backends.numba_cpu.convolution.panels import (
    add_gradient,
    multiply,
    multiply_part,
)
from minideeplab.backends.numba_cpu.convolution.tiles import (
    cotangent_tiles,
    input_tiles,
    output_tiles,
)
from minideeplab.backends.numba_cpu.convolution.transformed_filters import to_points, to_taps
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
        checks[index] = output_tiles(p, y, room, finish, n, span, outside, (0, p[1]))
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
def through_filters(counters, span, n, v, w, u, size, p, panels, y, outside, finish, room, checks):
    """Take parts of the filters through all steps, for tiles whose inputs are transformed.

    w are ``stored`` filters of (filters, channels) = ``panels``; ``span`` is that of the tiles.
    """
    part = claim(counters)
    while part < len(checks):
        first, last = part * size[0], min((part + 1) * size[0], panels[0])
        for channel in range(0, panels[1], size[1]):
            channels = channel, min(channel + size[1], panels[1])
            to_points(w, u, n, ((first, last), channels), (first, channel))
            multiply_part(v, u, last - first, p, span[1] - span[0], n * n, channels, channel > 0)
        checks[part] = output_tiles(p, y, room, finish, n, span, outside, (first, last))
        part = claim(counters)


@jit
def multiply_points(counters, n, v, u, p, tiles):
    """Multiply the matrices of all points."""
    point = claim(counters)
    while point < n * n:
        multiply(v, u, p, tiles, point, point + 1)
        point = claim(counters)


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
def through_gradients(counters, tiles, n, v, e, du, size, dw, add, checks):
    """Compute the gradients of parts of the filters (row) and channels (column), or add them."""
    index = claim(counters)
    while index < checks.size:
        row, column = divmod(index, checks.shape[1])
        filters = row * size[0], min((row + 1) * size[0], e[1])
        channels = column * size[1], min((column + 1) * size[1], v[1])
        add_gradient(v, channels, e, filters, du, tiles, n * n, False)
        origin = filters[0], channels[0]
        checks[row, column] = to_taps(du, dw, n, (filters, channels), origin, add)
        index = claim(counters)


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
            add_gradient(v, (0, v[1]), e, (0, e[1]), part, last - first, n * n, index > segment)
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
