"""Reverse-mode differentiation: the graph that operations record and `Tensor.backward` walks.

Every recorded result holds its inputs and a function that turns the cotangent dy (the gradient of
the final loss with respect to the result) into the cotangents of the inputs. `backpropagate` visits
the results from last to first, so that each cotangent is complete before it is passed on, and sums
the cotangents of the leaves.

Ownership: a `backward` function owns the dy it gets, and the arrays it returns must not overlap
each other. So every cotangent has one owner, which may modify it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import getclosurevars
from types import FunctionType
from typing import Any
from zlib import crc32

import numpy as np

from minideeplab.arrays import as_array, like
from minideeplab.backends.registry import current

LARGE = 1 << 16  # elements from which a sum is worth more than one thread
Tensor = Any  # minideeplab.tensor.Tensor, which builds on this module
Needs = tuple[bool, ...]
Backward = Callable[[np.ndarray, Needs], Sequence[np.ndarray | None]]

_recording: ContextVar[bool] = ContextVar("recording", default=True)
_detecting: ContextVar[bool] = ContextVar(
    "detecting", default=os.environ.get("MINIDEEPLAB_DETECT_CHANGES", "0") not in ("", "0")
)


def is_recording() -> bool:
    """Whether operations are being recorded: True outside of `no_grad`."""
    return _recording.get()


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside the block, or inside a function decorated with ``@no_grad()``."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


@contextmanager
def detect_changes(enabled: bool = True) -> Iterator[None]:
    """Inside the block, `backward` refuses arrays that were changed after the forward pass.

    Their checksums are kept with the history, which takes time: for tests, lessons and debugging.
    Arrays on a GPU are not checked.
    MINIDEEPLAB_DETECT_CHANGES=1 in the environment does it for the whole process.
    """
    token = _detecting.set(enabled)
    try:
        yield
    finally:
        _detecting.reset(token)


class Node:
    """How a tensor was computed: its inputs, and the function that returns their cotangents."""

    __slots__ = ("backward", "checksums", "inputs")

    def __init__(self, inputs: tuple[Tensor | None, ...], backward: Backward):
        self.inputs = inputs  # None where no gradient is wanted
        self.backward: Backward | None = backward  # None once it was used
        arrays = _saved(backward) if _detecting.get() else ()
        self.checksums = [(array, _checksum(array)) for array in arrays]

    def check_unchanged(self) -> None:
        """Raise RuntimeError if an array that `backward` reads has changed since the forward."""
        for array, before in self.checksums:
            if _checksum(array) != before:
                raise RuntimeError(
                    f"backward: an array of shape {array.shape}, {array.dtype} was changed after "
                    "the forward pass, which gives a wrong gradient; change a copy"
                )

    def cotangents(self, dy: np.ndarray) -> Iterator[tuple[Tensor, np.ndarray]]:
        """Each input that requires a gradient, with its cotangent. Frees inputs and function."""
        inputs, backward = self.inputs, self.backward
        self.inputs, self.backward, self.checksums = (), None, []
        dxs = backward(dy, tuple(x is not None for x in inputs))
        return ((x, dx) for x, dx in zip(inputs, dxs, strict=True) if x is not None)


def _saved(value: Any, depth: int = 5) -> Iterator[np.ndarray]:
    """Yield the arrays that a backward function holds, also in tuples and inner functions."""
    parts: Sequence[Any] = ()
    if isinstance(value, np.ndarray):  # one on a GPU would be copied to the host
        yield value
    elif isinstance(value, tuple | list):
        parts = value
    elif isinstance(value, FunctionType):
        parts = list(getclosurevars(value).nonlocals.values())
    for part in parts if depth else ():
        yield from _saved(part, depth - 1)


def _checksum(array: np.ndarray) -> int:
    return crc32(np.ascontiguousarray(array))


def add(a: Any, b: Any) -> Any:
    """a + b; large NumPy arrays of one shape and float type by the backend in use."""
    alike = a.shape == b.shape and a.dtype == b.dtype and a.dtype.kind == "f"
    if alike and a.size >= LARGE and type(a) is type(b) is np.ndarray:
        return current().add(a, b)
    return a + b


def backpropagate(last: Tensor, dy: np.ndarray) -> None:
    """Add the gradient of sum(dy * last) to the `grad` of every leaf that `last` came from."""
    order = topological_order(last)
    cotangents = {id(last): dy}
    while order:
        tensor = order.pop()
        dy = cotangents.pop(id(tensor))
        if tensor.node is None:
            tensor.grad = as_array(dy if tensor.grad is None else tensor.grad + dy)
            continue
        for x, dx in tensor.node.cotangents(dy):
            total = cotangents.get(id(x))
            cotangents[id(x)] = dx if total is None else add(total, dx)


def topological_order(last: Tensor) -> list[Tensor]:
    """Every tensor that `last` was computed from, each after all of its inputs; `last` at the end.

    A depth-first walk without recursion, since a network may be deeper than Python's stack. Raises
    RuntimeError, before anything is changed, if a part of the history was freed by an earlier call,
    or, under `detect_changes`, if an array was changed.
    """
    order, seen, stack = [], set(), [(last, False)]
    while stack:
        tensor, inputs_done = stack.pop()
        if inputs_done:
            order.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            if tensor.node is not None:
                if tensor.node.backward is None:
                    raise RuntimeError(
                        "backward: a part of this computation was differentiated before, and its "
                        "history is freed; compute it again before the second backward()"
                    )
                tensor.node.check_unchanged()
                stack.extend((x, False) for x in tensor.node.inputs if x is not None)
    return order


def seed(last: Tensor, grad: np.ndarray | None) -> np.ndarray:
    """The cotangent to start from: a copy of grad, or 1 for a tensor with a single element.

    Raises RuntimeError if grad is missing or nothing requires one, ValueError for a wrong shape.
    """
    if not last.requires_grad:
        raise RuntimeError("backward: nothing that this tensor came from requires a gradient")
    if grad is None:
        if last.size != 1:
            raise RuntimeError(
                f"grad: missing for a tensor of shape {last.shape}; only a tensor with a single "
                "element can do without"
            )
        return np.ones_like(last.data)
    grad = like(last.data, grad).astype(last.dtype)  # a copy
    if grad.shape != last.shape:
        raise ValueError(f"grad: got shape {grad.shape}, expected the tensor's {last.shape}")
    return grad


def sum_to(shape: tuple[int, ...], dtype: np.dtype, dx: np.ndarray) -> np.ndarray:
    """dx summed over the axes along which an array of this shape was repeated by broadcasting."""
    if dx.shape != shape:
        dx = dx.sum(axis=tuple(range(dx.ndim - len(shape))))
        repeated = tuple(axis for axis, size in enumerate(shape) if size != dx.shape[axis])
        dx = dx.sum(axis=repeated, keepdims=True)
    return dx.astype(dtype, copy=False)
