"""Tensor: an ndarray with a record of how it was computed, from which `backward` differentiates.

Operations of networks are in `minideeplab.functional`; the class itself has arithmetic with
broadcasting, elementary functions, sums, extrema, shapes and indexing, named as in NumPy.
`minideeplab.tape` describes how differentiation works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minideeplab.arrays import add_at, as_array, is_array, like, to_host
from minideeplab.backends.registry import to
from minideeplab.numpy_functions import call_numpy
from minideeplab.tape import (
    Backward,
    Node,
    add,
    backpropagate,
    detect_changes,
    is_recording,
    no_grad,
    seed,
    sum_to,
)

__all__ = ["Tensor", "detect_changes", "no_grad", "record"]

Axis = int | tuple[int, ...] | None
Operand = "Tensor | np.ndarray | float"
Share = Callable[[np.ndarray], np.ndarray]


def record(
    y: np.ndarray, inputs: Sequence[Tensor | np.ndarray | None], backward: Backward
) -> Tensor:
    """Wrap the result y of an operation, and record its history if an input requires grad.

    backward(dy, needs) returns one cotangent of the input's shape for each input, or None where
    needs is False. It owns dy; what it returns must be writable and must not overlap each other.
    """
    result = Tensor(y)
    if is_recording():
        wanted = tuple(x if isinstance(x, Tensor) and x.requires_grad else None for x in inputs)
        if any(x is not None for x in wanted):
            result.requires_grad = True
            result.node = Node(wanted, backward)
    return result


class Tensor:
    """An ndarray (`data`, not copied), its gradient (`grad`, None before `backward`), its history.

    Only leaves, which no recorded operation computed, keep a gradient; it accumulates until it is
    set to None. data must hold real numbers, floats if requires_grad; else it is a TypeError.
    """

    __slots__ = ("__weakref__", "data", "grad", "node", "requires_grad")
    __array_priority__ = 1000  # ndarray + Tensor calls Tensor.__radd__

    def __init__(self, data: np.ndarray, requires_grad: bool = False):
        self.data = as_array(data)
        self.requires_grad = requires_grad
        self.grad: np.ndarray | None = None
        self.node: Node | None = None
        kind = self.data.dtype.kind
        if kind not in "fiub" or (requires_grad and kind != "f"):
            expected = "floats (requires_grad=True)" if requires_grad else "real numbers"
            raise TypeError(f"data: got an array of {self.data.dtype}, expected {expected}")

    shape = property(lambda self: self.data.shape, doc="Lengths of the axes.")
    dtype = property(lambda self: self.data.dtype, doc="Type of the elements.")
    ndim = property(lambda self: self.data.ndim, doc="Number of axes.")
    size = property(lambda self: self.data.size, doc="Number of elements.")

    T = property(lambda self: self.transpose(), doc="The axes in reverse order.")

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(to_host(self.data), dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.data)

    def __float__(self) -> float:
        return float(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)  # ValueError for several elements, as of an ndarray

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Differentiate NumPy's arithmetic; refuse other functions where a gradient is recorded."""
        return call_numpy(Tensor, ufunc, method, inputs, options)

    def __repr__(self) -> str:
        values = np.array2string(to_host(self.data), separator=", ", prefix="Tensor(", threshold=20)
        return f"Tensor({values}, dtype={self.dtype}, requires_grad={self.requires_grad})"

    def numpy(self) -> np.ndarray:
        """The elements as NumPy's array: `data` itself, or a copy from the GPU."""
        return to_host(self.data)

    def item(self) -> float:
        """The only element, as a Python number. ValueError if there are more, or none."""
        return self.data.item()

    def detach(self) -> Tensor:
        """The same array without its history."""
        return Tensor(self.data)

    def to(self, device: str) -> Tensor:
        """The same values on "cpu" or "cuda" (a GPU, through CuPy); the gradient goes back."""
        back = partial(like, self.data)
        return record(to(self.data, device), (self,), lambda dy, _: (back(dy),))

    def backward(self, grad: np.ndarray | None = None) -> None:
        """Add the gradient of sum(grad * self) to the `grad` of every leaf that requires one.

        grad has this tensor's shape; for a single element it may be left out, and is 1. Raises
        ValueError for a wrong shape, RuntimeError if grad is missing, if nothing requires a
        gradient, or if the history was freed by an earlier call.
        """
        backpropagate(self, seed(self, grad))

    def __add__(self, other: Operand) -> Tensor:
        other = _operand(other, self)
        return _broadcasting(add(self.data, other.data), self, other, lambda dy: dy, np.copy)

    def __sub__(self, other: Operand) -> Tensor:
        other = _operand(other, self)
        return _broadcasting(self.data - other.data, self, other, lambda dy: dy, lambda dy: -dy)

    def __mul__(self, other: Operand) -> Tensor:
        other = _operand(other, self)
        a, b = self.data, other.data
        return _broadcasting(a * b, self, other, lambda dy: dy * b, lambda dy: dy * a)

    def __truediv__(self, other: Operand) -> Tensor:
        other = _operand(other, self)
        a, b = self.data, other.data
        return _broadcasting(a / b, self, other, lambda dy: dy / b, lambda dy: -dy * a / (b * b))

    def __matmul__(self, other: Operand) -> Tensor:
        other = _operand(other, self)
        a, b = self.data, other.data
        if min(a.ndim, b.ndim) < 2:
            raise ValueError(f"@: got shapes {a.shape} and {b.shape}, expected matrices or stacks")
        da, db = lambda dy: dy @ b.swapaxes(-1, -2), lambda dy: a.swapaxes(-1, -2) @ dy
        return _broadcasting(a @ b, self, other, da, db)

    def __pow__(self, exponent: float) -> Tensor:
        x, exponent = self.data, float(exponent)
        return record(x**exponent, (self,), lambda dy, _: (dy * exponent * x ** (exponent - 1),))

    def __neg__(self) -> Tensor:
        return record(-self.data, (self,), lambda dy, _: (-dy,))

    def __abs__(self) -> Tensor:
        x = self.data
        return record(np.abs(x), (self,), lambda dy, _: (dy * np.sign(x),))

    __radd__, __rmul__, abs = __add__, __mul__, __abs__

    def __lt__(self, other: Operand) -> Tensor:
        return Tensor(self.data < _operand(other, self).data)

    def __le__(self, other: Operand) -> Tensor:
        return Tensor(self.data <= _operand(other, self).data)

    def __gt__(self, other: Operand) -> Tensor:
        return Tensor(self.data > _operand(other, self).data)

    def __ge__(self, other: Operand) -> Tensor:
        return Tensor(self.data >= _operand(other, self).data)

    def __rsub__(self, other: Operand) -> Tensor:
        return _operand(other, self) - self

    def __rtruediv__(self, other: Operand) -> Tensor:
        return _operand(other, self) / self

    def __rmatmul__(self, other: Operand) -> Tensor:
        return _operand(other, self) @ self

    def exp(self) -> Tensor:
        """e to the power of each element."""
        y = np.exp(self.data)
        return record(y, (self,), lambda dy, _: (dy * y,))

    def log(self) -> Tensor:
        """Natural logarithm of each element."""
        x = self.data
        return record(np.log(x), (self,), lambda dy, _: (dy / x,))

    def sqrt(self) -> Tensor:
        """Square root of each element."""
        y = np.sqrt(self.data)
        return record(y, (self,), lambda dy, _: (dy / (2 * y),))

    def clip(self, min: float | None = None, max: float | None = None) -> Tensor:
        """Elements moved into [min, max]; those outside get no gradient."""
        x = self.data
        y = np.clip(x, min, max)
        return record(y, (self,), lambda dy, _: (dy * (x == y),))

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Maximum over one axis, several or all; NaN if one is. Ties share the gradient."""
        return self._extremum(np.max, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Minimum over one axis, several or all; NaN if one is. Ties share the gradient."""
        return self._extremum(np.min, axis, keepdims)

    def _extremum(self, pick: Callable, axis: Axis, keepdims: bool) -> Tensor:
        x = self.data
        kept = pick(x, axis=axis, keepdims=True)

        def backward(dy, _):
            best = (x == kept) | (x != x)  # NaN is its own maximum
            share = dy.reshape(kept.shape) / best.sum(axis, dtype=x.dtype, keepdims=True)
            return (np.where(best, share, 0),)

        return record(kept if keepdims else kept.squeeze(axis), (self,), backward)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Sum over one axis, several or all."""
        kept = self.data.sum(axis, keepdims=True)
        before, after = self.shape, kept.shape

        def backward(dy, _):
            return (np.broadcast_to(dy.reshape(after), before).copy(),)

        return record(kept if keepdims else kept.squeeze(axis), (self,), backward)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Mean over one axis, several or all; NaN over no element."""
        total = self.sum(axis, keepdims)
        return total * (total.size / self.size if self.size else np.nan)

    def reshape(self, *shape: int | tuple[int, ...]) -> Tensor:
        """The same elements in another shape, as `ndarray.reshape`."""
        before = self.shape
        return record(self.data.reshape(*shape), (self,), lambda dy, _: (dy.reshape(before),))

    def transpose(self, *axes: int) -> Tensor:
        """The axes in another order, as `ndarray.transpose(*axes)`: reversed if none are given."""
        order = [axis % self.ndim for axis in axes] or range(self.ndim)[::-1]
        back = tuple(np.argsort(order).tolist())
        return record(self.data.transpose(*axes), (self,), lambda dy, _: (dy.transpose(back),))

    def __getitem__(self, index) -> Tensor:
        if isinstance(index, Tensor):  # a mask such as x > 0
            index = index.data
        x, y = self.data, self.data[index]
        zeros, is_view = partial(np.zeros_like, x), np.may_share_memory(x, y)

        def backward(dy, _):
            dx = zeros()
            if is_view:  # slices: a view of x, no element twice
                dx[index] = dy
            else:
                add_at(dx, index, dy)
            return (dx,)

        return record(y, (self,), backward)


def _operand(value: Operand, other: Tensor) -> Tensor:
    """The other operand as a Tensor. A plain number takes the other tensor's dtype."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int | float):
        number = np.asarray(value, np.result_type(value, other.dtype))
        return Tensor(like(other.data, number))
    if is_array(value):
        return Tensor(value)
    raise TypeError(f"operand: got {type(value).__name__}, expected a Tensor, ndarray or number")


def _broadcasting(y: np.ndarray, a: Tensor, b: Tensor, da: Share, db: Share) -> Tensor:
    """Record y = f(a, b); da and db map dy to the cotangents of a and b, before broadcasting."""

    first, second = (a.shape, a.dtype), (b.shape, b.dtype)

    def backward(dy, needs):
        return (
            sum_to(*first, da(dy)) if needs[0] else None,
            sum_to(*second, db(dy)) if needs[1] else None,
        )

    return record(y, (a, b), backward)
