"""Filters in the memory order that matrix products want: the K of one weight side by side."""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.layout import transpose_matrices
from minideeplab.ops.window import Pair


def by_channel(w: np.ndarray, groups: int) -> np.ndarray:
    """Return w (K, C / G, kh, kw) as (G, C / G, taps, K / G)."""
    filters, channels, kh, kw = w.shape
    source = np.ascontiguousarray(w).reshape(groups, filters // groups, channels * kh * kw)
    result = np.empty((groups, channels, kh * kw, filters // groups), w.dtype)
    transpose_matrices(source, result.reshape(groups, channels * kh * kw, filters // groups))
    return result


def by_filter(dw: np.ndarray, kernel: Pair) -> np.ndarray:
    """Return dw (G, C / G, taps, K / G) as (K, C / G, kh, kw): undoes ``by_channel``."""
    groups, channels, taps, filters = dw.shape
    result = np.empty((groups, filters, channels * taps), dw.dtype)
    transpose_matrices(dw.reshape(groups, channels * taps, filters), result)
    return result.reshape(groups * filters, channels, *kernel)


def turned(w: np.ndarray, groups: int) -> np.ndarray:
    """Return w as the transposed problem needs it, turned over: (G, K / G, taps, C / G)."""
    filters, channels, kh, kw = w.shape
    source = np.ascontiguousarray(w).reshape(filters, channels, kh * kw)
    result = np.empty((filters, kh * kw, channels), w.dtype)
    transpose_matrices(source, result)
    return result.reshape(groups, filters // groups, kh * kw, channels)[:, :, ::-1]


def matrices(filters: np.ndarray) -> np.ndarray:
    """Return filters (G, C / G, taps, K / G) as one matrix a group, (G, taps * C / G, K / G)."""
    groups, channels, taps, count = filters.shape
    by_tap = np.ascontiguousarray(filters.swapaxes(1, 2))
    return by_tap.reshape(groups, taps * channels, count)
