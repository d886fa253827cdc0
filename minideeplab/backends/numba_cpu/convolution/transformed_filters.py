"""Winograd's transforms of filters, between the order in which they are stored and packed memory.

Stored filters are (K, C, 3, 3); the transforms need sixteen of the K side by side. Blocks of
sixteen by sixteen channels are transposed in a small buffer that stays in the first cache.

``part`` is ((first, last), (first, last)): the panels of K and of C that are transformed. Packed
memory begins with panel ``origin`` = (of K, of C).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minideeplab.backends.numba_cpu.convolution.packing import Packed, packed
from minideeplab.backends.numba_cpu.convolution.transforms import (
    N,
    filter_1d,
    filter_gradient_1d,
)
from minideeplab.backends.numba_cpu.convolution.transpose import transpose
from minideeplab.backends.numba_cpu.runtime.jit import inner
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_kernel, parallel_range
from minideeplab.backends.numba_cpu.simd import CHANNELS, load_channels, store

SQUARE = CHANNELS**2


class StoredFilters(NamedTuple):
    """Filters (K, C, 3, 3) as a flat array with strides, or those of the transposed problem.

    The latter has C and K exchanged and the taps in reverse order: other strides only.
    """

    data: np.ndarray
    first: int
    k_stride: int
    c_stride: int
    tap_stride: int


def stored(w: np.ndarray, transposed: bool = False) -> StoredFilters:
    """Return filters w (K, C, 3, 3) as kernels take them."""
    flat, channels = np.ascontiguousarray(w).reshape(-1), w.shape[1]
    if transposed:
        return StoredFilters(flat, 8, 9, 9 * channels, -1)
    return StoredFilters(flat, 0, 9 * channels, 9, 1)


def transform(w: np.ndarray, transposed: bool = False) -> Packed:
    """Return filters w (K, C, 3, 3) at the N * N points: G w G^T."""
    filters, channels = w.shape[1::-1] if transposed else w.shape[:2]
    u, source = packed(N * N, filters, channels), stored(w, transposed)
    parallel_range(all_to_points, channels // CHANNELS, source, u, step=1)
    return u


def gradient(du: Packed, dw: np.ndarray) -> bool:
    """Write dw (K, C, 3, 3) = G^T du G; return whether all of it is finite."""
    checks = np.zeros(dw.shape[1] // CHANNELS, dw.dtype)
    parallel_range(all_to_taps, len(checks), du, stored(dw), checks, step=1)
    return bool(np.isfinite(checks.sum()))


@inner
def to_points(w, u, part, origin):
    """Transform a part of stored filters: G w G^T, to packed ``u``."""
    vectors, w_row = u.data.reshape(-1, CHANNELS), w.k_stride
    work = np.empty((N * 3, CHANNELS), w.data.dtype)
    taps = np.empty((CHANNELS * 9, CHANNELS), w.data.dtype)
    rows = taps.reshape(-1)
    for panel in range(*part[0]):
        for block in range(*part[1]):
            at = w.first + panel * CHANNELS * w.k_stride + block * CHANNELS * w.c_stride
            if w.tap_stride > 0:  # the taps of sixteen channels are one run
                for j in range(9):
                    to = j * SQUARE
                    transpose(CHANNELS, w.data, at + j * CHANNELS, w_row, rows, to, CHANNELS)
            else:
                for c in range(CHANNELS):
                    to = (c * 9 + 8) * CHANNELS
                    transpose(9, w.data, at + c * w.c_stride - 8, w_row, rows, to, -CHANNELS)
            corner = (panel - origin[0]) * u.stride + (block - origin[1]) * CHANNELS
            for c in range(CHANNELS):
                for j in range(3):
                    filter_1d((taps, c * 9, j, 3, 0), (work, j, 3, 0))
                for i in range(N):
                    target = vectors, corner + c + i * N * u.hop, u.hop, 0
                    filter_1d((work, 0, i * 3, 1, 0), target)


@inner
def to_taps(du, dw, part, origin, add):
    """Write G^T du G to stored filters, or add it: the transpose of ``to_points``.

    Return the sum of 0 * dw, which is NaN if any of it is not finite.
    """
    vectors, check = du.data.reshape(-1, CHANNELS), np.zeros((1, CHANNELS), dw.data.dtype)
    work = np.empty((N * 3, CHANNELS), dw.data.dtype)
    taps = np.empty((CHANNELS * 9, CHANNELS), dw.data.dtype)
    held = np.empty((CHANNELS, CHANNELS), dw.data.dtype)
    rows = taps.reshape(-1)
    for panel in range(*part[0]):
        for block in range(*part[1]):
            corner = (panel - origin[0]) * du.stride + (block - origin[1]) * CHANNELS
            for c in range(CHANNELS):
                for j in range(N):
                    source = vectors, corner + c, j * du.hop, N * du.hop, 0
                    filter_gradient_1d(source, (work, j, N, 0))
                for i in range(3):
                    target = taps, c * 9 + i * 3, 1, 0
                    filter_gradient_1d((work, 0, i * N, 1, 0), target)
            at = dw.first + panel * CHANNELS * dw.k_stride + block * CHANNELS * dw.c_stride
            finite, before = load_channels(check, 0, 0), held.reshape(-1)
            for j in range(9):
                run = at + j * CHANNELS
                if add:
                    transpose(CHANNELS, dw.data, run, dw.k_stride, before, 0, CHANNELS)
                for row in range(CHANNELS):
                    value = load_channels(taps, j * CHANNELS + row, 0)
                    if add:
                        value = value + load_channels(held, row, 0)
                    finite = finite + value * 0.0
                    store(taps, j * CHANNELS + row, 0, value)
                transpose(CHANNELS, rows, j * SQUARE, CHANNELS, dw.data, run, dw.k_stride)
            store(check, 0, 0, finite)
    return check.sum()


@parallel_kernel
def all_to_points(first, last, thread_id, w, u):
    """Transform all filters, sixteen channels a piece."""
    to_points(w, u, ((0, u.panels), (first, last)), (0, 0))


@parallel_kernel
def all_to_taps(first, last, thread_id, du, dw, checks):
    """Write the gradient of all filters, sixteen channels a piece."""
    checks[first] = to_taps(du, dw, ((0, du.panels), (first, last)), (0, 0), False)
