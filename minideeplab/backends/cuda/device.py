"""Device arrays: CuPy arrays, or NumPy arrays where CuPy is not installed (``xp`` is the module).

Every operation accepts host and device arrays. If any argument is on the device, results stay
there, so a network with its weights on the device copies nothing between its layers. If all
arguments are on the host, results are copied back to it.

All work is queued on CuPy's current stream and all memory comes from CuPy's pool. An operation
synchronises with the device only where its docstring says so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from minideeplab.arrays import on_device, to_host

SIMULATED = bool(numba.config.ENABLE_CUDASIM)

try:
    if SIMULATED:
        raise ImportError
    import cupy as xp
except ImportError:
    xp = np

if SIMULATED:
    from minideeplab.backends.cuda.simulator import repair

    repair()


def to_device(array: np.ndarray) -> Any:
    """A copy on the device; the array itself if it is there already or ``xp`` is NumPy."""
    return array if xp is np or on_device(array) else xp.asarray(array)


def place() -> tuple[int, int]:
    """The current device and stream, a key for cached device arrays."""
    if xp is np:
        return (0, 0)
    return (xp.cuda.Device().id, xp.cuda.get_current_stream().ptr)


def accepts_host_arrays(operation: Callable) -> Callable:
    """The operation with NumPy arguments copied to the device.

    Results are copied back to NumPy arrays if no argument was on the device.
    """

    @functools.wraps(operation)
    def wrapped(*args: Any, **options: Any) -> Any:
        stays = xp is np or any(on_device(a) for a in (*args, *options.values()))
        result = operation(*map(_moved, args), **{k: _moved(v) for k, v in options.items()})
        if stays:
            return result
        if isinstance(result, tuple):
            return tuple(None if part is None else to_host(part) for part in result)
        return to_host(result)

    return wrapped


def _moved(argument: Any) -> Any:
    return to_device(argument) if isinstance(argument, np.ndarray) else argument
