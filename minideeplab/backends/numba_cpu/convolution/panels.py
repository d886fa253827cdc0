"""The memory order of transformed tiles and filters: panels of sixteen channels.

``[point][panel][index][16]``, where the index counts tiles or, in filters, channels. What a matrix
product reads next always lies next in memory, whichever operand it is and whichever way it runs.
Kernels take the vectors as a matrix (vectors, 16); vector ``(point, panel, index)`` is row
``point * hop + panel * stride + index``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS, prefetch
from minideeplab.backends.numba_cpu.convolution.registers import PANELS, ROWS, product
from minideeplab.backends.numba_cpu.convolution.transforms import inlined
from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.threads import aligned, scratch

SPAN = 256  # tiles that a gradient's product takes at once: two panels of them fit an L1 cache
FULL = CHANNELS // ROWS * ROWS  # the channels of a panel that are whole blocks of rows
REST = CHANNELS - FULL or ROWS  # and the rows of the last, smaller block


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
        panels, stride = channels // CHANNELS, -(-indices // ROWS) * ROWS
        # Odd: points must not lie a power of two bytes apart, they would share sets of a cache.
        hop = panels * stride | 1
        shape, dtype = (points * hop, CHANNELS), np.dtype(np.float32)
        vectors = scratch(name, shape, dtype) if name else aligned(shape, dtype)
        return cls(vectors, panels, stride, hop)

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.vectors.nbytes

    @property
    def layout(self) -> tuple[np.ndarray, int, int, int]:
        """(flat array, panels, stride, hop) as the products take them."""
        return self.vectors.reshape(-1), self.panels, self.stride, self.hop


@jit
def multiply(v, u, p, tiles, first, last):
    """p = v u at points [first, last): tiles (tiles, C) times filters (C, K), all as panels."""
    tile_vectors, channels, v_stride, v_hop = v
    filter_vectors, filters, u_stride, u_hop = u
    products, _, p_stride, p_hop = p
    filter_rows, ahead = filter_vectors.reshape(-1, CHANNELS), PANELS * u_stride
    for point in range(first, last):
        a_first, b_first, c_first = point * v_hop, point * u_hop, point * p_hop
        for panel in range(0, filters, PANELS):
            soon, share = b_first + panel * u_stride + ahead, -(-ahead * ROWS // tiles)
            for tile in range(0, tiles, ROWS):
                for row in range(soon, soon + share):  # of the next panels, to hide the memory
                    prefetch(filter_rows, row, 0)
                soon += share
                a = (tile_vectors, (a_first + tile) * CHANNELS, CHANNELS, 1, v_stride * CHANNELS)
                b = (filter_vectors, (b_first + panel * u_stride) * CHANNELS, u_stride * CHANNELS)
                place = (c_first + panel * p_stride + tile) * CHANNELS
                c = (products, place, CHANNELS, p_stride * CHANNELS)
                if PANELS == 1 or panel + 1 < filters:
                    product(ROWS, PANELS, a, b, c, channels, CHANNELS, 0)
                else:
                    product(ROWS, 1, a, b, c, channels, CHANNELS, 0)


@jit
def add_gradient(v, e, du, tiles, first, last, add):
    """du = v^T e, or += if ``add``, at points [first, last): (C, tiles) times (tiles, K)."""
    for point in range(first, last):
        for start in range(0, tiles, SPAN):
            length, more = min(SPAN, tiles - start), add or start > 0
            for panel in range(0, e[1], PANELS):
                both = PANELS == 1 or panel + 1 < e[1]
                for k in range(v[1]):
                    for row in range(0, FULL, ROWS):
                        a, b, c = _gradient_operands(v, e, du, point, start, panel, k, row)
                        if both:
                            product(ROWS, PANELS, a, b, c, 1, length, more)
                        else:
                            product(ROWS, 1, a, b, c, 1, length, more)
                    for row in range(FULL, CHANNELS, REST):
                        a, b, c = _gradient_operands(v, e, du, point, start, panel, k, row)
                        if both:
                            product(REST, PANELS, a, b, c, 1, length, more)
                        else:
                            product(REST, 1, a, b, c, 1, length, more)


@inlined
def _gradient_operands(v, e, du, point, start, panel, k, row):
    """Return the operands of ``product`` for the channels from ``row`` on of panel ``k``."""
    inputs, _, v_stride, v_hop = v
    cotangents, _, e_stride, e_hop = e
    gradients, _, stride, hop = du
    a_first = (point * v_hop + k * v_stride + start) * CHANNELS + row
    b_first = (point * e_hop + panel * e_stride + start) * CHANNELS
    c_first = (point * hop + panel * stride + k * CHANNELS + row) * CHANNELS
    a = (inputs, a_first, 1, CHANNELS, 0)
    b = (cotangents, b_first, e_stride * CHANNELS)
    return a, b, (gradients, c_first, CHANNELS, stride * CHANNELS)
