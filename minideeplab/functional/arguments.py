"""Checks of arguments, shared by all operations, with one form of error message.

"<argument>: got <value>, expected <what is valid>" is a TypeError for a wrong type, and a
ValueError for a wrong value or shape.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from numbers import Real
from typing import Any

import numpy as np

from minideeplab.arrays import as_array, is_array
from minideeplab.ops.window import Pair
from minideeplab.tape import Backward
from minideeplab.tensor import Tensor, record

Array = Tensor | np.ndarray
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def ndarray(name: str, value: Any) -> np.ndarray:
    """The array that a Tensor holds, or the ndarray itself."""
    if isinstance(value, Tensor):
        return value.data
    if is_array(value):
        return value
    raise TypeError(f"{name}: got {type(value).__name__}, expected a NumPy array or a Tensor")


def floats(
    input: Any, required: Mapping[str, Any] | None = None, **optional: Any
) -> list[np.ndarray | None]:
    """The arrays behind input, the required and the optional arguments, all of one float dtype.

    An optional argument may be None.
    """
    required = required or {}
    arrays = [ndarray("input", input)]
    dtype = arrays[0].dtype
    if dtype not in FLOATS:
        raise TypeError(f"input: got dtype {dtype}, expected float32 or float64")
    for name, value in {**required, **optional}.items():
        array = None if value is None and name in optional else ndarray(name, value)
        if array is not None and array.dtype != dtype:
            raise TypeError(f"{name}: got dtype {array.dtype}, expected input's {dtype}")
        arrays.append(array)
    return arrays


def wrong_shape(name: str, array: np.ndarray, expected: str) -> ValueError:
    """The error to raise for an array of the wrong shape."""
    return ValueError(f"{name}: got shape {array.shape}, expected {expected}")


def per_channel(name: str, array: np.ndarray | None, channels: int) -> None:
    """Check that an optional array has one value for each channel."""
    if array is not None and array.shape != (channels,):
        raise wrong_shape(name, array, f"({channels},), one value a channel")


def images(x: np.ndarray) -> None:
    """Check that x is (N, C, H, W), where only N may be 0."""
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise wrong_shape("input", x, "(N, C, H, W) or (C, H, W), with C, H and W at least 1")


def integer(name: str, value: Any, minimum: int | None = None) -> int:
    """A whole number, of at least `minimum` if one is given; not a bool."""
    if isinstance(value, bool | np.bool_ | Tensor | np.ndarray) or not hasattr(value, "__index__"):
        least = "" if minimum is None else f" of at least {minimum}"
        raise TypeError(f"{name}: got {value!r}, expected an integer{least}")
    value = operator.index(value)
    if minimum is not None and value < minimum:
        raise ValueError(f"{name}: got {value}, expected an integer of at least {minimum}")
    return value


def pair(name: str, value: Any, minimum: int) -> Pair:
    """One number for rows and columns, or one for each, as (rows, columns)."""
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        value = (value, value)
    elif len(value) == 1:
        value = (value[0], value[0])
    elif len(value) != 2:
        raise ValueError(f"{name}: got {value!r}, expected an integer or two of them")
    return integer(name, value[0], minimum), integer(name, value[1], minimum)


def number(name: str, value: Any) -> float:
    """A real number as a float; not a bool."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name}: got {value!r}, expected a number")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: got {value!r}, expected True or False")
    return bool(value)


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """One of the strings in `options`."""
    if value not in options:
        raise ValueError(f"{name}: got {value!r}, expected {' or '.join(map(repr, options))}")
    return value


def result(y: np.ndarray, inputs: Sequence[Any], backward: Backward) -> Array:
    """y as a recorded Tensor if an input is a Tensor, else as a plain array."""
    if any(isinstance(x, Tensor) for x in inputs):
        return record(y, inputs, backward)
    return as_array(y)


def accepts_unbatched(ndim: int) -> Callable[[Callable], Callable]:
    """Decorator: an operation on batches also accepts a single item, an input of `ndim` axes.

    The item is passed as a batch of one, and the results are returned without the batch axis.
    """

    def decorate(function: Callable) -> Callable:
        @wraps(function)
        def wrapped(input: Array, *args: Any, **kwargs: Any) -> Any:
            if getattr(input, "ndim", None) != ndim:
                return function(input, *args, **kwargs)
            y = function(input.reshape((1, *input.shape)), *args, **kwargs)
            if isinstance(y, tuple):
                return tuple(part.reshape(part.shape[1:]) for part in y)
            return y.reshape(y.shape[1:])

        return wrapped

    return decorate
