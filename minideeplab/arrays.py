"""Arrays on the host (NumPy) or on a GPU (CuPy), told apart without importing CuPy.

NumPy's functions work on CuPy's arrays (NEP 13 and 18), so most code need not ask where an array
is. It must where an array is created or copied to the other side.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np


def on_device(value: Any) -> bool:
    """Whether the value is an array on a GPU."""
    return hasattr(type(value), "__cuda_array_interface__")


def to_host(array: Any) -> np.ndarray:
    """The array as NumPy's; a copy from the device, which waits for it, or the array itself."""
    return array.get() if on_device(array) else np.asarray(array)


def as_array(value: Any) -> Any:
    """The value as an array: one on the device as it is, anything else as NumPy's."""
    return value if on_device(value) else np.asarray(value)


def is_array(value: Any) -> bool:
    """Whether the value is an array on either side."""
    return isinstance(value, np.ndarray) or on_device(value)


def add_at(total: Any, index: Any, values: Any) -> None:
    """total[index] += values, repeated indices too; ``np.add.at`` on either side."""
    space = importlib.import_module("cupy") if on_device(total) else np
    space.add.at(total, index, values)


def like(array: Any, value: Any) -> Any:
    """The value on the side where the array is, to be written into it."""
    return importlib.import_module("cupy").asarray(value) if on_device(array) else to_host(value)
