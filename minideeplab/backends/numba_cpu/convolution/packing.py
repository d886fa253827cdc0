"""The packed memory order of matmul operands, and the matmuls of transformed tiles and filters.

Packed is ``[point][panel][index][16]``: a panel has sixteen channels, and the index counts tiles
or, in filters, input channels. What a matmul reads next is always next in memory, for either
operand and in either direction. As rows of sixteen, vector ``(point, panel, index)`` is row
``point * hop + panel * stride + index``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minideeplab.backends.numba_cpu.convolution.microkernel import (
    PANELS,
    ROWS,
    block_start,
    cut,
    matmul,
    matmul_block,
)
from minideeplab.backends.numba_cpu.runtime.jit import inlined, inner
from minideeplab.backends.numba_cpu.runtime.scratch import aligned, per_thread_scratch, scratch
from minideeplab.backends.numba_cpu.simd import CHANNELS, prefetch

GRADIENT_TILES = 256  # tiles that a gradient's matmul takes at once: two panels fit an L1 cache
FULL = CHANNELS // ROWS * ROWS  # the channels of a panel that are full blocks of rows
REST = CHANNELS - FULL or ROWS  # the rows of the last, smaller block
FLOAT = np.dtype(np.float32)
PREFETCH_TILES = 2 * ROWS  # from the tiles that are multiplied to those that are prefetched


class Packed(NamedTuple):
    """Vectors for every point, panel and index."""

    data: np.ndarray  # flat; (threads, size) if every thread has its own
    panels: int
    stride: int  # vectors from panel to panel: the indices, rounded up to full blocks of rows
    hop: int  # vectors from point to point

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.data.nbytes


def packed(
    points: int, channels: int, indices: int, name: str = "", per_thread: bool = False
) -> Packed:
    """Return uninitialized packed memory, in the scratch ``name`` if given."""
    panels, stride = channels // CHANNELS, -(-indices // ROWS) * ROWS
    # Odd: points must not be a power of two bytes apart, they would share sets of a cache.
    hop = panels * stride | 1
    shape = (points * hop * CHANNELS,)
    if per_thread:
        return Packed(per_thread_scratch(name, shape, FLOAT), panels, stride, hop)
    return Packed(
        scratch(name, shape, FLOAT) if name else aligned(shape, FLOAT), panels, stride, hop
    )


@inlined
def of_thread(each, thread_id):
    """Return the thread's own part of packed memory that is ``per_thread``."""
    return Packed(each.data[thread_id], each.panels, each.stride, each.hop)


@inner
def multiply(v, u, p, tiles, first, last):
    """p = v u at points [first, last): tiles (tiles, C) times filters (C, K), all packed.

    Inputs stay in cache; filters are streamed.
    """
    blocks, others = cut(tiles)
    rows, ahead = u.data.reshape(-1, CHANNELS), PANELS * u.stride
    share = -(-ahead // (blocks + others))
    for point in range(first, last):
        for panel in range(0, u.panels, PANELS):
            following = point * u.hop + panel * u.stride + ahead
            for block in range(blocks + others):
                for row in range(following, following + share):  # of the next panels
                    prefetch(rows, row, 0)
                following += share
                _multiply_block(v, 0, u, u.panels, p, point, panel, block, blocks, v.panels, 0)


@inner
def multiply_part(v, u, filters, p, tiles, points, channels, add):
    """p = v u, or += if ``add``, at all points, of the panels [first, last) of the channels of v.

    ``filters`` is the number of panels of filters. Filters stay in cache; inputs are streamed.
    """
    (first, last), (blocks, others) = channels, cut(tiles)
    rows, padded = v.data.reshape(-1, CHANNELS), -(-tiles // ROWS) * ROWS
    for point in range(points):
        for panel in range(0, filters, PANELS):
            for block in range(blocks + others):
                if panel == 0:  # the other panels find the inputs in cache
                    later = block * ROWS + PREFETCH_TILES
                    row = point * v.hop + (later if later < padded else v.hop + later - padded)
                    for k in range(first, last):
                        for r in range(row + k * v.stride, row + k * v.stride + ROWS):
                            prefetch(rows, r, 0)
                count = last - first
                _multiply_block(v, first, u, filters, p, point, panel, block, blocks, count, add)


@inlined
def _multiply_block(v, channel, u, filters, p, point, panel, block, blocks, channels, add):
    """Multiply a block of tiles by PANELS panels of filters, over some panels of channels."""
    tile = block_start(block, blocks)
    first = point * v.hop + channel * v.stride + tile
    a = (v.data, first * CHANNELS, CHANNELS, 1, v.stride * CHANNELS)
    b = (u.data, (point * u.hop + panel * u.stride) * CHANNELS, u.stride * CHANNELS)
    to = (point * p.hop + panel * p.stride + tile) * CHANNELS
    c = (p.data, to, CHANNELS, p.stride * CHANNELS)
    both = PANELS == 1 or panel + 1 < filters
    matmul_block(block < blocks, both, a, b, c, channels, CHANNELS, add)


@inner
def add_gradient(v, channels, e, filters, du, tiles, points, add):
    """du = v^T e, or += if ``add``: (C, tiles) times (tiles, K), at all points.

    ``channels`` and ``filters`` are the panels [first, last) of v and of e that are multiplied; du
    begins with them.
    """
    origin = channels[0], filters[0]
    for point in range(points):
        for start in range(0, tiles, GRADIENT_TILES):
            length, more = min(GRADIENT_TILES, tiles - start), add or start > 0
            for panel in range(filters[0], filters[1], PANELS):
                both = PANELS == 1 or panel + 1 < filters[1]
                for k in range(channels[0], channels[1]):
                    if panel == filters[0]:
                        _prefetch(v, point, k + 1, channels, start, length, 0, 1)
                    for q in range(PANELS):
                        _prefetch(e, point, panel + PANELS + q, filters, start, length,
                                  k - channels[0], channels[1] - channels[0])  # fmt: skip
                    for row in range(0, FULL, ROWS):
                        a, b, c = _gradient_operands(v, e, du, point, start, panel, k, row, origin)
                        matmul(ROWS, both, a, b, c, 1, length, more)
                    for row in range(FULL, CHANNELS, REST):
                        a, b, c = _gradient_operands(v, e, du, point, start, panel, k, row, origin)
                        matmul(REST, both, a, b, c, 1, length, more)


@inlined
def _prefetch(v, point, panel, panels, start, length, share, shares):
    """Prefetch a share of a panel's vectors from ``start`` on, or of the next point's first."""
    if panel >= panels[1]:
        point, panel = point + 1, panel - panels[1] + panels[0]
    first, size = point * v.hop + panel * v.stride + start, -(-length // shares)
    rows = v.data.reshape(-1, CHANNELS)
    for row in range(first + share * size, first + (share + 1) * size):
        prefetch(rows, row, 0)


@inlined
def _gradient_operands(v, e, du, point, start, panel, k, row, origin):
    """Return the operands of ``matmul`` for the channels from ``row`` on of panel ``k``."""
    a_first = (point * v.hop + k * v.stride + start) * CHANNELS + row
    b_first = (point * e.hop + panel * e.stride + start) * CHANNELS
    c_row = point * du.hop + (panel - origin[1]) * du.stride + (k - origin[0]) * CHANNELS + row
    a = (v.data, a_first, 1, CHANNELS, 0)
    b = (e.data, b_first, e.stride * CHANNELS)
    return a, b, (du.data, c_row * CHANNELS, CHANNELS, du.stride * CHANNELS)
