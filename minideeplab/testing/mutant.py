"""What a known wrong implementation is, and the right pieces that they are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.backends import use_backend
from minideeplab.testing.frameworks import operation

Function = Callable[..., Any]

DIFFERENTIABLE = {
    "conv2d": (0, 1, 2),
    "conv_transpose2d": (0, 1, 2),
    "linear": (0, 1, 2),
    "batch_norm": (0, 3, 4),
}
"""Positions of the arguments with a gradient, where it is not the first alone."""


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation: the operation, a name, what is wrong in words, and the code.

    ``forward`` is called like the operation, ``backward`` like ``check_op``'s; one that is not
    given is right. ``property_only``: every row of the table comes out right, a property does not.
    """

    op: str
    name: str
    diagnosis: str
    forward: Function | None = None
    backward: Function | None = None
    property_only: bool = False


def right(op: str) -> Function:
    """Return the definition of ``op``, arrays in and arrays out."""

    def forward(*arrays: Any, **options: Any) -> Any:
        with use_backend("numpy"):
            return operation("minideeplab", op)(*arrays, **options)

    return forward


def right_backward(op: str) -> Function:
    """Return the definition's gradients: one for each array argument, None where there is none."""

    def backward(grad_out: np.ndarray, *arrays: Any, **options: Any) -> tuple[Any, ...]:
        from minideeplab.tensor import Tensor

        wanted = DIFFERENTIABLE.get(op, (0,))
        sent = [
            Tensor(a, requires_grad=True) if i in wanted and a is not None else _own(a)
            for i, a in enumerate(arrays)
        ]
        with use_backend("numpy"):
            result = operation("minideeplab", op)(*sent, **options)
            (result[0] if isinstance(result, tuple) else result).backward(grad_out.copy())
        return tuple(a.grad if isinstance(a, Tensor) else None for a in sent)

    return backward


def _own(array: np.ndarray | None) -> np.ndarray | None:
    """Return a copy, since a second call must not update running statistics again."""
    return None if array is None else array.copy()


def altered(op: str, defaults: dict[str, Any], **changes: Callable[[Any], Any]) -> Function:
    """Return ``op`` with the options in ``changes`` replaced by a function of their value."""

    def forward(*arrays: Any, **options: Any) -> Any:
        full = defaults | options
        return right(op)(*arrays, **full | {key: f(full[key]) for key, f in changes.items()})

    return forward


def pair(value: Any) -> tuple[int, int]:
    """Return an option that is an int or a pair as a pair."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def swapped(value: Any) -> Any:
    """Return an option with height and width confused; names such as "same" stay."""
    return value if isinstance(value, str) else pair(value)[::-1]


def first_only(value: Any) -> Any:
    """Return an option with the height's value used for both axes."""
    return value if isinstance(value, str) else (pair(value)[0],) * 2


def gradients(op: str, change: Callable[..., dict[int, Any]]) -> Function:
    """Return a backward that is right but for the gradients that ``change`` returns by position.

    ``change(given, grad_out, arrays, options)`` gets the right gradients in ``given``.
    """

    def backward(grad_out: np.ndarray, *arrays: Any, **options: Any) -> list[Any]:
        given = list(right_backward(op)(grad_out, *arrays, **options))
        for position, value in change(given, grad_out, arrays, options).items():
            if position < len(given) and given[position] is not None:
                given[position] = np.ascontiguousarray(value)
        return given

    return backward


def forwards(op: str, table: dict[str, tuple[Function, str]]) -> list[Mutant]:
    """Return mutants of the forward from names, functions and diagnoses."""
    return [Mutant(op, name, text, forward=fn) for name, (fn, text) in table.items()]


def backwards(op: str, table: dict[str, tuple[Function, str]]) -> list[Mutant]:
    """Return mutants of the backward from names, ``gradients`` changes and diagnoses."""
    return [
        Mutant(op, name, text, backward=gradients(op, change))
        for name, (change, text) in table.items()
    ]
