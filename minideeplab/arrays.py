"""Arrays on either side: NumPy's on the host, CuPy's on a GPU, told apart without importing CuPy.

CuPy's arrays answer NumPy's functions (NEP 13 and 18), so most code need not ask. It must where an
array is made, or crosses over.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

DEVICES = ("cpu", "cuda")
LARGE = 1 << 16  # elements from which a sum is worth more than one thread


def on_device(value: Any) -> bool:
    """Whether the value is an array on a GPU."""
    return hasattr(type(value), "__cuda_array_interface__")


def to_host(array: Any) -> np.ndarray:
    """The array as NumPy's; a copy from the device, which waits for it, or the array itself."""
    return array.get() if on_device(array) else np.asarray(array)


def to(array: Any, device: str) -> Any:
    """The array on "cpu" or "cuda", itself if it is there. Under Numba's simulator both are NumPy.

    Raises ValueError for another device, and ImportError, with the reason, if the "cuda" backend
    cannot run here.
    """
    if device not in DEVICES:
        raise ValueError(f"device: got {device!r}, expected 'cpu' or 'cuda'")
    if device == "cpu":
        return to_host(array)
    from minideeplab.backends import load

    load("cuda")  # says why, if there is no device
    return importlib.import_module("minideeplab.backends.cuda.device").to_device(array)


def as_array(value: Any) -> Any:
    """The value as an array: one on the device as it is, anything else as NumPy's."""
    return value if on_device(value) else np.asarray(value)


def is_array(value: Any) -> bool:
    """Whether the value is an array on either side."""
    return isinstance(value, np.ndarray) or on_device(value)


def add(a: Any, b: Any) -> Any:
    """a + b; large arrays on the host on all threads, if the backend in use does that."""
    alike = a.shape == b.shape and a.dtype == b.dtype and a.dtype.kind == "f"
    if alike and a.size >= LARGE and type(a) is type(b) is np.ndarray:
        from minideeplab.backends import current

        return getattr(current(), "add", np.add)(a, b)
    return a + b


def add_at(total: Any, index: Any, values: Any) -> None:
    """total[index] += values, repeated indices too; ``np.add.at`` on either side."""
    space = importlib.import_module("cupy") if on_device(total) else np
    space.add.at(total, index, values)


def like(array: Any, value: Any) -> Any:
    """The value on the side where the array is, to be written into it."""
    return to(value, "cuda") if on_device(array) else to_host(value)
