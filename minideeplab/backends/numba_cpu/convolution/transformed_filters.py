"""Winograd's transforms of filters, from and to the order in which they are stored.

Stored filters are (K, C, 3, 3); the transforms want sixteen of the K side by side. Blocks of
sixteen by sixteen channels are turned round in a small buffer that stays in the first cache.
A filter's place in memory is told by its steps: ``steps`` = (first element, from one k to the next,
from one c to the next, from one tap to the next). The gradient of an input is a convolution with
the same filters with C and K exchanged and the taps in reverse order, which are other steps only.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS
from minideeplab.backends.numba_cpu.convolution.panels import Panels
from minideeplab.backends.numba_cpu.convolution.transforms import filter_1d, filter_gradient_1d
from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.threads import parallel_for


def transform(w: np.ndarray, n: int, turned: bool = False) -> Panels:
    """Return filters w (K, C, 3, 3) at the n * n points: G w G^T.

    ``turned`` gives those of the transposed problem.
    """
    filters, channels = w.shape[:2]
    steps = (0, 9 * channels, 9, 1)
    if turned:
        filters, channels, steps = channels, filters, (8, 9, 9 * channels, -1)
    u = Panels.empty(n * n, filters, channels)
    flat, blocks = np.ascontiguousarray(w).reshape(-1), -(-channels // CHANNELS)
    parallel_for(lambda k: _points(flat, steps, u.vectors, n, k, u.panels, u.stride, u.hop), blocks)
    return u


def gradient(du: Panels, n: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return dw of ``shape`` (K, C, 3, 3) from its points: G^T du G."""
    dw = np.empty(shape, du.vectors.dtype)
    flat, steps = dw.reshape(-1), (0, 9 * shape[1], 9, 1)
    blocks = shape[1] // CHANNELS
    parallel_for(
        lambda k: _taps(du.vectors, flat, steps, n, k, du.panels, du.stride, du.hop), blocks
    )
    return dw


@jit
def _points(w, steps, u, n, block, panels, stride, hop):
    """Transform the filters of sixteen channels."""
    first, from_k, from_c, from_tap = steps
    work = np.empty((n * 3, CHANNELS), w.dtype)
    taps = np.empty((CHANNELS * 9, CHANNELS), w.dtype)
    for panel in range(panels):
        at = first + panel * CHANNELS * from_k + block * CHANNELS * from_c
        for k in range(CHANNELS):
            for c in range(CHANNELS):
                for tap in range(9):
                    taps[c * 9 + tap, k] = w[at + k * from_k + c * from_c + tap * from_tap]
        for c in range(CHANNELS):
            filters = taps[c * 9 : c * 9 + 9]
            for j in range(3):
                filter_1d(n, filters, 0, j, 3, 0, work, j, 3, 0)
            place = panel * stride + block * CHANNELS + c
            for i in range(n):
                filter_1d(n, work, 0, i * 3, 1, 0, u, place + i * n * hop, hop, 0)


@jit
def _taps(du, dw, steps, n, block, panels, stride, hop):
    """Undo ``_points`` for a gradient: from the points to the taps of sixteen channels."""
    first, from_k, from_c, from_tap = steps
    work = np.empty((n * 3, CHANNELS), dw.dtype)
    taps = np.empty((CHANNELS * 9, CHANNELS), dw.dtype)
    for panel in range(panels):
        for c in range(CHANNELS):
            place = panel * stride + block * CHANNELS + c
            for j in range(n):
                filter_gradient_1d(n, du, place, j * hop, n * hop, 0, work, j, n, 0)
            for i in range(3):
                filter_gradient_1d(n, work, 0, i * n, 1, 0, taps, c * 9 + i * 3, 1, 0)
        at = first + panel * CHANNELS * from_k + block * CHANNELS * from_c
        for k in range(CHANNELS):
            for c in range(CHANNELS):
                for tap in range(9):
                    dw[at + k * from_k + c * from_c + tap * from_tap] = taps[c * 9 + tap, k]
