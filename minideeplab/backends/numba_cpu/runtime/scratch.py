"""Aligned arrays, and work arrays that are allocated once and reused.

Fresh memory costs a page fault every 4 KiB, more than filling it.
"""

from __future__ import annotations

import math
import threading

import numpy as np

from minideeplab.backends.numba_cpu.runtime import parallel
from minideeplab.backends.numba_cpu.runtime.atomics import LINE

_LOCAL = threading.local()


def aligned(shape: int | tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return ``np.empty(shape, dtype)`` that starts at a cache line.

    NumPy starts large arrays 16 bytes after one. Then every vector as wide as a line spans two.
    """
    size = math.prod(shape if isinstance(shape, tuple) else (shape,)) * np.dtype(dtype).itemsize
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % LINE  # faster than memory.ctypes.data
    return memory[start : start + size].view(dtype).reshape(shape)


def scratch(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return the calling thread's work array ``name``, uninitialized; the memory is reused."""
    wanted = math.prod(shape) * np.dtype(dtype).itemsize
    held = getattr(_LOCAL, name, None)
    if held is None or held.nbytes < wanted:
        held = aligned(wanted, np.uint8)
        setattr(_LOCAL, name, held)
    return held[:wanted].view(dtype).reshape(shape)


def per_thread_scratch(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return work arrays for the threads of a parallel kernel: (thread_count(), *shape)."""
    return scratch(name, (parallel.thread_count(), *shape), dtype)
