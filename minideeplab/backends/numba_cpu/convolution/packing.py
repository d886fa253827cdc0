"""The memory order of transformed tiles and filters: panels of sixteen channels.

``[point][panel][index][16]``, where the index counts tiles or, in filters, channels. What a matrix
product reads next always lies next in memory, whichever operand it is and whichever way it runs.
Kernels take the vectors as a matrix (vectors, 16); vector ``(point, panel, index)`` is row
``point * hop + panel * stride + index``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minideeplab.backends.numba_cpu.convolution.microkernel import (
    PANELS,
    ROWS,
    begin,
    block_product,
    cut,
    product,
)
from minideeplab.backends.numba_cpu.convolution.simd import CHANNELS, prefetch
from minideeplab.backends.numba_cpu.runtime.jit import inlined, inner
from minideeplab.backends.numba_cpu.runtime.scratch import aligned, per_thread_scratch, scratch

SPAN = 256  # tiles that a gradient's product takes at once: two panels of them fit an L1 cache
FULL = CHANNELS // ROWS * ROWS  # the channels of a panel that are whole blocks of rows
REST = CHANNELS - FULL or ROWS  # and the rows of the last, smaller block
FLOAT = np.dtype(np.float32)
AHEAD = 2 * ROWS  # tiles between those that are multiplied and those that are asked for


@dataclass(frozen=True)
class Panels:
    """Vectors for every point, panel and index, in a matrix (points * hop, 16)."""

    vectors: np.ndarray
    panels: int
    stride: int  # from panel to panel: the indices, rounded up to whole blocks of rows
    hop: int  # from point to point

    @classmethod
    def empty(cls, points: int, channels: int, indices: int, name: str = "") -> Panels:
        """Return uninitialised panels, in this thread's work memory if that has a ``name``."""
        panels, stride, hop, shape = _places(points, channels, indices)
        vectors = scratch(name, shape, FLOAT) if name else aligned(shape, FLOAT)
        return cls(vectors, panels, stride, hop)

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.vectors.nbytes

    @property
    def layout(self) -> tuple[np.ndarray, int, int, int]:
        """(flat array, panels, stride, hop) as the products take them."""
        return self.vectors.reshape(-1), self.panels, self.stride, self.hop


def layouts(points: int, channels: int, indices: int, name: str) -> tuple:
    """Return the layout of uninitialised panels for each thread of a round, of which it takes
    its ``own``.
    """
    panels, stride, hop, (vectors, lanes) = _places(points, channels, indices)
    return per_thread_scratch(name, (vectors * lanes,), FLOAT), panels, stride, hop


def _places(points: int, channels: int, indices: int) -> tuple[int, int, int, tuple[int, int]]:
    """Return panels, stride and hop, and the shape of all vectors."""
    panels, stride = channels // CHANNELS, -(-indices // ROWS) * ROWS
    # Odd: points must not lie a power of two bytes apart, they would share sets of a cache.
    hop = panels * stride | 1
    return panels, stride, hop, (points * hop, CHANNELS)


@inlined
def own(layouts, thread_id):
    """Return the layout of thread ``thread_id``."""
    return layouts[0][thread_id], layouts[1], layouts[2], layouts[3]


@inner
def multiply(v, u, p, tiles, first, last):
    """p = v u at points [first, last): tiles (tiles, C) times filters (C, K), all as panels.

    The inputs are few and stay in a cache, the filters pass by.
    """
    filters, stride, (many, few) = u[1], u[2], cut(tiles)
    rows, ahead = u[0].reshape(-1, CHANNELS), PANELS * stride
    share = -(-ahead // (many + few))
    for point in range(first, last):
        for panel in range(0, filters, PANELS):
            soon = point * u[3] + panel * stride + ahead
            for block in range(many + few):
                for row in range(soon, soon + share):  # of the next panels, to hide the memory
                    prefetch(rows, row, 0)
                soon += share
                _multiply_block(v, 0, u, filters, p, point, panel, block, many, v[1], 0)


@inner
def multiply_part(v, u, filters, p, tiles, points, channels, add):
    """p = v u, or += if ``add``, at all points, of the panels [first, last) of the channels of v.

    The filters, some panels of them, are few and stay in a cache, the inputs pass by.
    """
    (first, last), (many, few) = channels, cut(tiles)
    rows, whole = v[0].reshape(-1, CHANNELS), -(-tiles // ROWS) * ROWS
    for point in range(points):
        for panel in range(0, filters, PANELS):
            for block in range(many + few):
                if panel == 0:  # others find the inputs in a cache
                    later = block * ROWS + AHEAD
                    row = point * v[3] + (later if later < whole else v[3] + later - whole)
                    for k in range(first, last):
                        for r in range(row + k * v[2], row + k * v[2] + ROWS):
                            prefetch(rows, r, 0)
                count = last - first
                _multiply_block(v, first, u, filters, p, point, panel, block, many, count, add)


@inlined
def _multiply_block(v, channel, u, filters, p, point, panel, block, many, channels, add):
    """Multiply a block of tiles and PANELS panels of filters, over some panels of channels."""
    tile = begin(block, many)
    first = point * v[3] + channel * v[2] + tile
    a = (v[0], first * CHANNELS, CHANNELS, 1, v[2] * CHANNELS)
    b = (u[0], (point * u[3] + panel * u[2]) * CHANNELS, u[2] * CHANNELS)
    c = (p[0], (point * p[3] + panel * p[2] + tile) * CHANNELS, CHANNELS, p[2] * CHANNELS)
    both = PANELS == 1 or panel + 1 < filters
    block_product(block < many, both, a, b, c, channels, CHANNELS, add)


@inner
def add_gradient(v, channels, e, filters, du, tiles, points, add):
    """du = v^T e, or += if ``add``: (C, tiles) times (tiles, K), at all points.

    ``channels`` and ``filters`` are the panels [first, last) of v and of e that are multiplied; du
    begins with them.
    """
    for point in range(points):
        for start in range(0, tiles, SPAN):
            length, more = min(SPAN, tiles - start), add or start > 0
            for panel in range(filters[0], filters[1], PANELS):
                both = PANELS == 1 or panel + 1 < filters[1]
                for k in range(channels[0], channels[1]):
                    if panel == filters[0]:
                        _ask(v, point, k + 1, channels, start, length, 0, 1)
                    for q in range(PANELS):
                        _ask(e, point, panel + PANELS + q, filters, start, length,
                             k - channels[0], channels[1] - channels[0])  # fmt: skip
                    origin = channels[0], filters[0]
                    for row in range(0, FULL, ROWS):
                        a, b, c = _gradient_operands(v, e, du, point, start, panel, k, row, origin)
                        if both:
                            product(ROWS, PANELS, a, b, c, 1, length, more)
                        else:
                            product(ROWS, 1, a, b, c, 1, length, more)
                    for row in range(FULL, CHANNELS, REST):
                        a, b, c = _gradient_operands(v, e, du, point, start, panel, k, row, origin)
                        if both:
                            product(REST, PANELS, a, b, c, 1, length, more)
                        else:
                            product(REST, 1, a, b, c, 1, length, more)


@inlined
def _ask(v, point, panel, panels, start, length, share, shares):
    """Ask for a share of the vectors from ``start`` on of a panel, or of the next point's first."""
    rows, _, stride, hop = v
    if panel >= panels[1]:
        point, panel = point + 1, panel - panels[1] + panels[0]
    first, size = point * hop + panel * stride + start, -(-length // shares)
    matrix = rows.reshape(-1, CHANNELS)
    for row in range(first + share * size, first + (share + 1) * size):
        prefetch(matrix, row, 0)


@inlined
def _gradient_operands(v, e, du, point, start, panel, k, row, origin):
    """Return the operands of ``product`` for the channels from ``row`` on of panel ``k``."""
    inputs, _, v_stride, v_hop = v
    cotangents, _, e_stride, e_hop = e
    gradients, _, stride, hop = du
    a_first = (point * v_hop + k * v_stride + start) * CHANNELS + row
    b_first = (point * e_hop + panel * e_stride + start) * CHANNELS
    c_first = point * hop + (panel - origin[1]) * stride + (k - origin[0]) * CHANNELS + row
    a = (inputs, a_first, 1, CHANNELS, 0)
    b = (cotangents, b_first, e_stride * CHANNELS)
    return a, b, (gradients, c_first * CHANNELS, CHANNELS, stride * CHANNELS)
