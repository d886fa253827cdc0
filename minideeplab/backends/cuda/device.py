"""Where arrays live: on the device as CuPy arrays, or in NumPy's where CuPy is not there.

Every operation takes arrays from either side. As long as one argument is on the device, results
stay there, so that a network whose weights are there copies nothing back between its layers. If
all come from the host, the result goes back to it, and the backend is a drop-in for the others.

All work is queued on CuPy's current stream and all memory comes from CuPy's pool. An operation
waits for the device only where its docstring says so.
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
    """A copy on the device; the array itself if it is there already, or if NumPy stands in."""
    return array if xp is np or on_device(array) else xp.asarray(array)


def place() -> tuple[int, int]:
    """The current device and stream: what is kept there is ready for the work that follows."""
    if xp is np:
        return (0, 0)
    return (xp.cuda.Device().id, xp.cuda.get_current_stream().ptr)


def flat(array: Any) -> Any:
    """The elements of an array on the device in one axis, C order, copied only if they must be."""
    if SIMULATED and not array.flags.writeable:  # the simulator writes every argument back
        array = array.copy()
    return xp.ascontiguousarray(array).reshape(-1)


def accepts_host_arrays(operation: Callable) -> Callable:
    """Let an operation on device arrays take NumPy arrays too, and answer with what it was given.

    NumPy arguments are moved to the device. Results come back as NumPy arrays if no argument was
    on the device.
    """

    @functools.wraps(operation)
    def wrapped(*args: Any, **options: Any) -> Any:
        if xp is np or any(on_device(a) for a in (*args, *options.values())):
            back = _unchanged
        else:
            back = to_host
        result = operation(*map(_moved, args), **{k: _moved(v) for k, v in options.items()})
        if isinstance(result, tuple):
            return tuple(None if part is None else back(part) for part in result)
        return back(result)

    return wrapped


def _moved(argument: Any) -> Any:
    return to_device(argument) if isinstance(argument, np.ndarray) else argument


def _unchanged(array: Any) -> Any:
    return array
