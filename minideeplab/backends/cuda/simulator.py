"""Fix for a race in Numba's CUDA simulator, which runs the threads of a block as Python threads.

The simulator identifies a block's shared array by the calling line and creates it on first use
without a lock, so two threads of a block could get different arrays.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
from numba.core import types
from numba.cuda.simulator.kernelapi import FakeCUDAShared
from numba.np.numpy_support import as_dtype

_LOCK = threading.Lock()
_dynamic = FakeCUDAShared.array


def _shared_array(self: Any, shape: Any, dtype: Any, alignment: int | None = None) -> np.ndarray:
    """The block's array for the calling line; size 0 means dynamic shared memory."""
    if shape == 0:
        return _dynamic(self, shape, dtype, alignment)
    frame = sys._getframe(1)
    line = (frame.f_code.co_filename, frame.f_lineno)
    with _LOCK:
        if line not in self._allocations:
            kind = as_dtype(dtype) if isinstance(dtype, types.Type) else dtype
            self._allocations[line] = np.empty(shape, kind)
        return self._allocations[line]


def repair() -> None:
    """Make `cuda.shared.array` return the same array to all threads of a block."""
    FakeCUDAShared.array = _shared_array
