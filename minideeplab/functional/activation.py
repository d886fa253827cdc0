"""Rectifier, sigmoid, dropout and softmax. Definitions: `minideeplab.ops.activation`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minideeplab.backends import current
from minideeplab.functional.arguments import FLOATS, Array, flag, floats, integer, number, result

_default_rng = np.random.default_rng()
_dropout_rng: ContextVar[np.random.Generator | None] = ContextVar("dropout_rng", default=None)


def relu(input: Array, inplace: bool = False) -> Array:
    """max(input, 0), any shape; NaN stays, and the gradient at 0 is 0.

    inplace is accepted for compatibility with torch and has no effect: inputs are never modified.
    """
    (x,) = floats(input)
    flag("inplace", inplace)
    backend = current()
    y = backend.relu(x)
    return result(y, (input,), lambda dy, _: (backend.relu_backward(dy, y),))


def sigmoid(input: Array) -> Array:
    """1 / (1 + exp(-input)), any shape; NaN stays."""
    (x,) = floats(input)
    backend = current()
    y = backend.sigmoid(x)
    return result(y, (input,), lambda dy, _: (backend.sigmoid_backward(dy, y),))


@contextmanager
def dropout_rng(generator: np.random.Generator) -> Iterator[None]:
    """Draw the masks of `dropout` from this generator inside the block.

    With a generator seeded by (seed, step), training becomes a pure function of both.
    """
    if not isinstance(generator, np.random.Generator):
        raise TypeError(
            f"generator: got {type(generator).__name__}, expected a numpy.random.Generator"
        )
    token = _dropout_rng.set(generator)
    try:
        yield
    finally:
        _dropout_rng.reset(token)


def dropout(input: Array, p: float = 0.5, training: bool = True, inplace: bool = False) -> Array:
    """Zero each value with probability p and scale the rest by 1/(1-p); nothing if not training.

    The mask is drawn from `dropout_rng`'s generator, else from one seeded by the system. inplace is
    accepted for compatibility and has no effect. Raises ValueError unless 0 <= p <= 1.
    """
    (x,) = floats(input)
    flag("inplace", inplace)
    p = number("p", p)
    if not 0 <= p <= 1:
        raise ValueError(f"p: got {p}, expected a probability between 0 and 1")
    if not flag("training", training):
        return input
    backend = current()
    y, keep = backend.dropout(x, p, _dropout_rng.get() or _default_rng)
    return result(y, (input,), lambda dy, _: (backend.dropout_backward(dy, keep, p),))


def softmax(input: Array, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Array:
    """exp(input) / its sum along axis `dim`, any shape; computed in `dtype` if one is given.

    Without dim the axis is torch's old default, with a warning: 0 for 0, 1 or 3 axes, else 1.
    Raises ValueError for an axis that does not exist.
    """
    return _along_axis("softmax", input, dim, _stacklevel, dtype)


def log_softmax(
    input: Array, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Array:
    """input - log(sum of exp(input)) along axis `dim`: the logarithm of `softmax`, computed safely.

    dim, dtype and errors as for `softmax`.
    """
    return _along_axis("log_softmax", input, dim, _stacklevel, dtype)


def _along_axis(name: str, input: Array, dim: int | None, stacklevel: int, dtype: Any) -> Array:
    if dtype is not None:
        input = _cast(input, dtype)
    (x,) = floats(input)
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
        warnings.warn(f"dim: missing, {dim} is assumed; say which axis", stacklevel=stacklevel)
    if x.ndim == 0:
        return _along_axis(name, input.reshape((1,)), dim, stacklevel, None).reshape(())
    dim = integer("dim", dim, -x.ndim)
    if dim >= x.ndim:
        raise ValueError(f"dim: got {dim}, expected an axis of shape {x.shape}")
    axis, backend = dim % x.ndim, current()
    y = getattr(backend, name)(x, axis)
    backward = getattr(backend, name + "_backward")
    return result(y, (input,), lambda dy, _: (backward(dy, y, axis),))


def _cast(input: Array, dtype: Any) -> Array:
    """input as float32 or float64; the gradient comes back in the input's own type."""
    (x,) = floats(input)
    if np.dtype(dtype) not in FLOATS:
        raise TypeError(f"dtype: got {dtype!r}, expected float32 or float64")
    y = x.astype(dtype, copy=False)
    before = x.dtype
    return result(y, (input,), lambda dy, _: (dy.astype(before, copy=False),))
