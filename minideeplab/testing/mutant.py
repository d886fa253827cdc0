"""Known wrong implementations, and the definitions that they are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.backends import use_backend
from minideeplab.tensor import Tensor
from minideeplab.testing.definitions import operation, parameters

Function = Callable[..., Any]
Change = Callable[..., Any]
"""``change(given, grad_out, arrays, options)`` takes the right gradients in ``given`` and returns
the wrong one of the first argument, or several by position; {} where there is nothing wrong."""


QUIET = {"over": "ignore", "invalid": "ignore", "divide": "ignore", "under": "ignore"}


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


@dataclass(frozen=True)
class Right:
    """The definition of an operation, arrays in and arrays out, and wrong forms of it."""

    op: str

    def __call__(self, *arrays: Any, **options: Any) -> Any:
        """Return what the definition gives."""
        with use_backend("numpy"):
            return operation("minideeplab", self.op)(*arrays, **options)

    def altered(self, **changes: Callable[[Any], Any]) -> Function:
        """Return it with the options in ``changes`` replaced by a function of their value."""

        def forward(*arrays: Any, **options: Any) -> Any:
            full = {p.name: p.default for p in parameters(self.op) if p.name in changes} | options
            return self(*arrays, **options | {key: f(full[key]) for key, f in changes.items()})

        return forward

    def without(self, *names: str) -> Function:
        """Return it ignoring some of its options."""
        return lambda *arrays, **options: self(
            *arrays, **{name: value for name, value in options.items() if name not in names}
        )

    def before(self, change: Callable[..., Any]) -> Function:
        """Return it with the arrays that ``change(*arrays, **options)`` returns."""
        return lambda *arrays, **options: self(*change(*arrays, **options), **options)

    def after(self, change: Callable[..., Any]) -> Function:
        """Return it with its result replaced by ``change(result, *arrays, **options)``."""
        return lambda *arrays, **options: change(self(*arrays, **options), *arrays, **options)

    def confused(self, **kinds: str) -> dict[str, tuple[Function, str]]:
        """Return mutants by name: ``confused(stride="swapped of-height")``."""
        return {
            f"{option}-{kind}".replace("_", "-"): (
                self.altered(**{option: CONFUSIONS[kind][0](option)}),
                CONFUSIONS[kind][1].format(option),
            )
            for option, names in kinds.items()
            for kind in names.split()
        }


def right(op: str) -> Right:
    """Return the definition of ``op``, arrays in and arrays out."""
    return Right(op)


def right_backward(op: str) -> Function:
    """Return the definition's gradients: one for each array argument, None where there is none.

    The first argument is differentiated, and what is called a weight or a bias.
    """

    def backward(grad_out: np.ndarray, *arrays: Any, **options: Any) -> tuple[Any, ...]:
        names = [parameter.name for parameter in parameters(op)]
        sent = [
            Tensor(a, requires_grad=True)
            if a is not None and (i == 0 or names[i] in ("weight", "bias"))
            else _copy(a)
            for i, a in enumerate(arrays)
        ]
        with use_backend("numpy"):
            result = operation("minideeplab", op)(*sent, **options)
            (result[0] if isinstance(result, tuple) else result).backward(grad_out.copy())
        return tuple(a.grad if isinstance(a, Tensor) else None for a in sent)

    return backward


def _copy(array: np.ndarray | None) -> np.ndarray | None:
    """Return a copy, since a second call must not update running statistics again."""
    return None if array is None else array.copy()


def pair(value: Any) -> tuple[int, int]:
    """Return an option that is an int or a pair as a pair."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _of_pair(change: Callable[[tuple[int, int]], tuple[int, int]]) -> Callable[[Any], Any]:
    """Return a change of options that are int or pair; names such as "same", None and () stay."""
    return lambda value: (
        value if value in (None, ()) or isinstance(value, str) else change(pair(value))
    )


swapped = _of_pair(lambda value: value[::-1])
"""An option with height and width confused."""
first_only = _of_pair(lambda value: value[:1] * 2)
"""An option with the height's value used for both axes."""
last_only = _of_pair(lambda value: value[1:] * 2)
"""An option with the width's value used for both axes."""
one_more = _of_pair(lambda value: (value[0] + 1, value[1] + 1))
"""An option that is counted from 0 instead of 1."""

NEUTRAL = {"stride": 1, "dilation": 1, "padding": 0, "output_padding": 0, "ceil_mode": False}

CONFUSIONS: dict[str, tuple[Callable[[str], Callable[[Any], Any]], str]] = {
    "swapped": (lambda option: swapped, "{}'s height and width are confused"),
    "of-height": (lambda option: first_only, "the height's {} is used for both axes"),
    "of-width": (lambda option: last_only, "the width's {} is used for both axes"),
    "ignored": (
        lambda option: lambda value: value if isinstance(value, str) else NEUTRAL[option],
        "{} is ignored",
    ),
    "from-zero": (lambda option: one_more, "{} is counted from 0: 1 must be the ordinary case"),
}
"""The usual mistakes with an option: how its value is changed, and what is said."""


def of_wide(function: Callable[[np.ndarray], np.ndarray]) -> Function:
    """Return a function of each entry by itself, computed in float64."""

    def forward(x: np.ndarray, **options: Any) -> np.ndarray:
        with np.errstate(**QUIET):
            return np.asarray(function(x.astype(np.float64))).astype(x.dtype)

    return forward


def gradients(op: str, change: Change) -> Function:
    """Return a backward that is right but for the gradients that ``change`` returns."""

    def backward(grad_out: np.ndarray, *arrays: Any, **options: Any) -> list[Any]:
        given = list(right_backward(op)(grad_out, *arrays, **options))
        changed = change(given, grad_out, arrays, options)
        for position, value in (changed if isinstance(changed, dict) else {0: changed}).items():
            if position < len(given) and given[position] is not None:
                given[position] = np.ascontiguousarray(value)
        return given

    return backward


def on(position: int, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Return a ``gradients`` change of one gradient alone, where there is one."""

    def changed(given: list[Any], *rest: Any) -> dict[int, Any]:
        known = position < len(given) and given[position] is not None
        return {position: change(given[position])} if known else {}

    return changed


def zeroed(gradient: np.ndarray) -> np.ndarray:
    """Return zeros in the place of a gradient."""
    return 0 * gradient
