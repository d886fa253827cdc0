"""Winograd's transforms of filters, from and to the order in which they are stored.

Stored filters are (K, C, 3, 3); the transforms want sixteen of the K side by side. Blocks of
sixteen by sixteen channels are turned round in a small buffer that stays in the first cache.

Kernels take stored filters as (flat array, first element, from one k to the next, from one c to
the next, from one tap to the next). The gradient of an input is a convolution with the same filters
with C and K exchanged and the taps in reverse order, which are other steps only.

``part`` is ((first, last), (first, last)): the panels of K and of C that are transformed. The
points begin with panel ``origin`` = (of K, of C).
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.packing import Panels
from minideeplab.backends.numba_cpu.convolution.simd import CHANNELS, load, store, turn
from minideeplab.backends.numba_cpu.convolution.transforms import filter_1d, filter_gradient_1d
from minideeplab.backends.numba_cpu.runtime.jit import inner
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_kernel, parallel_range

SQUARE = CHANNELS**2


def stored(w: np.ndarray, turned: bool = False) -> tuple[np.ndarray, int, int, int, int]:
    """Return filters w (K, C, 3, 3) as kernels take them, ``turned`` for the transposed problem."""
    flat, channels = np.ascontiguousarray(w).reshape(-1), w.shape[1]
    return (flat, 8, 9, 9 * channels, -1) if turned else (flat, 0, 9 * channels, 9, 1)


def transform(w: np.ndarray, n: int, turned: bool = False) -> Panels:
    """Return filters w (K, C, 3, 3) at the n * n points: G w G^T.

    ``turned`` gives those of the transposed problem.
    """
    filters, channels = w.shape[1::-1] if turned else w.shape[:2]
    u, source = Panels.empty(n * n, filters, channels), stored(w, turned)
    parallel_range(all_to_points, channels // CHANNELS, source, u.layout, n, step=1)
    return u


def gradient(du: Panels, dw: np.ndarray, n: int) -> bool:
    """Write dw (K, C, 3, 3) = G^T du G; return whether all of it is finite."""
    checks = np.zeros(dw.shape[1] // CHANNELS, dw.dtype)
    parallel_range(all_to_taps, len(checks), du.layout, stored(dw), n, checks, step=1)
    return bool(np.isfinite(checks.sum()))


@inner
def to_points(w, u, n, part, origin):
    """Transform a part of stored filters: G w G^T, to the panels ``u``."""
    flat, first, from_k, from_c, from_tap = w
    points, _, stride, hop = u
    vectors = points.reshape(-1, CHANNELS)
    work = np.empty((n * 3, CHANNELS), flat.dtype)
    taps = np.empty((CHANNELS * 9, CHANNELS), flat.dtype)
    rows = taps.reshape(-1)
    for panel in range(*part[0]):
        for block in range(*part[1]):
            at = first + panel * CHANNELS * from_k + block * CHANNELS * from_c
            if from_tap > 0:  # the taps of sixteen channels are one run
                for j in range(9):
                    turn(CHANNELS, flat, at + j * CHANNELS, from_k, rows, j * SQUARE, CHANNELS)
            else:
                for c in range(CHANNELS):
                    last = (c * 9 + 8) * CHANNELS
                    turn(9, flat, at + c * from_c - 8, from_k, rows, last, -CHANNELS)
            corner = (panel - origin[0]) * stride + (block - origin[1]) * CHANNELS
            for c in range(CHANNELS):
                for j in range(3):
                    filter_1d(n, taps, c * 9, j, 3, 0, work, j, 3, 0)
                for i in range(n):
                    place = corner + c + i * n * hop
                    filter_1d(n, work, 0, i * 3, 1, 0, vectors, place, hop, 0)


@inner
def to_taps(du, dw, n, part, origin, add):
    """Undo ``to_points`` for a gradient: G^T du G, written to stored filters or added.

    Return the sum of 0 * dw, which is NaN if any of it is not finite.
    """
    points, _, stride, hop = du
    flat, first, from_k, from_c, _ = dw
    vectors, check = points.reshape(-1, CHANNELS), np.zeros((1, CHANNELS), flat.dtype)
    work = np.empty((n * 3, CHANNELS), flat.dtype)
    taps = np.empty((CHANNELS * 9, CHANNELS), flat.dtype)
    held = np.empty((CHANNELS, CHANNELS), flat.dtype)
    rows = taps.reshape(-1)
    for panel in range(*part[0]):
        for block in range(*part[1]):
            corner = (panel - origin[0]) * stride + (block - origin[1]) * CHANNELS
            for c in range(CHANNELS):
                for j in range(n):
                    filter_gradient_1d(n, vectors, corner + c, j * hop, n * hop, 0, work, j, n, 0)
                for i in range(3):
                    filter_gradient_1d(n, work, 0, i * n, 1, 0, taps, c * 9 + i * 3, 1, 0)
            at = first + panel * CHANNELS * from_k + block * CHANNELS * from_c
            finite, had = load(check, 0, 0), held.reshape(-1)
            for j in range(9):
                if add:
                    turn(CHANNELS, flat, at + j * CHANNELS, from_k, had, 0, CHANNELS)
                for row in range(CHANNELS):
                    value = load(taps, j * CHANNELS + row, 0)
                    if add:
                        value = value + load(held, row, 0)
                    finite = finite + value * 0.0
                    store(taps, j * CHANNELS + row, 0, value)
                turn(CHANNELS, rows, j * SQUARE, CHANNELS, flat, at + j * CHANNELS, from_k)
            store(check, 0, 0, finite)
    return check.sum()


@parallel_kernel
def all_to_points(first, last, thread_id, w, u, n):
    """Transform all filters, sixteen channels a piece."""
    to_points(w, u, n, ((0, u[1]), (first, last)), (0, 0))


@parallel_kernel
def all_to_taps(first, last, thread_id, du, dw, n, checks):
    """Undo ``all_to_points``."""
    checks[first] = to_taps(du, dw, n, ((0, du[1]), (first, last)), (0, 0), False)
