"""What an array library must do to be tested by the same rows.

A library hands arguments over in its own kind of array, calls the function, differentiates it
where it can, and returns everything as NumPy arrays. Here is NumPy itself; `frameworks` has the
others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.testing.case import Case
from minideeplab.testing.operations import OPERATIONS

Outcome = dict[str, Any]
"""The results of a row by name: "output", "indices", an updated argument's name, and
"grad_<argument>" for each gradient; "inputs" holds the arguments as they were afterwards."""


def collect(case: Case, result: Any, receive: Callable[[Any], Any]) -> Outcome:
    """Return the outcome of ``result``: one output, or (output, indices) as max_pool2d has."""
    names = ("output", "indices") if case.options.get("return_indices") else ("output",)
    several = isinstance(result, tuple) or (isinstance(result, list) and len(names) > 1)
    parts = result if several else (result,)
    if len(parts) != len(names):
        raise ValueError(
            f"expected {len(names)} result(s), {' and '.join(names)}; got {len(parts)}"
        )
    return {name: receive(part) for name, part in zip(names, parts, strict=True)}


def match_gradients(case: Case, gradients: Any) -> dict[str, Any]:
    """Name what a hand-written backward returned.

    Accepts a single gradient, one for each array argument in order (None where there is none), or
    one for each differentiable argument; always as many as the operation can have is fine, too.
    """
    parts = list(gradients) if isinstance(gradients, tuple | list) else [gradients]
    record = OPERATIONS[case.op]
    orders = (
        tuple(case.arrays),
        case.differentiable,
        record.differentiable,
        [name for name, recipe in case.arrays.items() if recipe is not None],
        record.arguments,
    )
    for names in orders:
        if len(names) == len(parts):
            named = dict(zip(names, parts, strict=True))
            return {f"grad_{name}": named.get(name) for name in case.differentiable}
    wanted = case.differentiable
    raise ValueError(
        f"backward returned {len(parts)} gradients; expected {len(wanted)}, for {', '.join(wanted)}"
    )


@dataclass(frozen=True)
class Library:
    """NumPy itself: arrays pass as they are; gradients come only from a written backward.

    ``writes``: functions can change their arguments. ``workers``: rows that are judged at once.
    """

    name: str = "numpy"
    differentiates: bool = False
    writes: bool = True
    workers: int = 1

    def send(self, array: np.ndarray | None, differentiable: bool = False) -> Any:
        """Return ``array`` as this library's own kind."""
        return array

    def receive(self, value: Any) -> Any:
        """Return a result of this library as a NumPy array (None and plain floats stay)."""
        if value is None or type(value) is float:
            return value
        array = np.asarray(value)
        if array.dtype.kind not in "fiubc":
            raise TypeError(f"returned {type(value).__name__}, expected an array of numbers")
        return array

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which the function runs."""
        return contextlib.nullcontext()

    def judging(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which all rows are judged."""
        return contextlib.nullcontext()

    def run(
        self,
        fn: Callable[..., Any],
        case: Case,
        arguments: dict[str, np.ndarray | None],
        backward: Callable[..., Any] | None = None,
    ) -> Outcome:
        """Return the outcome of ``fn`` on the row: forward, and backward where there is one."""
        with self.context():
            taped = self.differentiates and backward is None
            sent = {
                name: self.send(array, taped and name in case.differentiable)
                for name, array in arguments.items()
            }
            positional = list(sent.values())
            result = fn(*positional, **case.options)
            outcome = collect(case, result, self.receive)
            outcome |= {name: self.receive(sent[name]) for name in case.updated if self.writes}
            if case.differentiable and (backward is not None or taped):
                sent["grad_out"] = cotangent = self.send(cotangent_of(case, outcome, arguments))
                given = (
                    self.gradients(case, sent, result, cotangent)
                    if backward is None
                    else match_gradients(case, backward(cotangent, *positional, **case.options))
                )
                outcome |= {name: self.receive(value) for name, value in given.items()}
            return outcome | {"inputs": {name: self.receive(a) for name, a in sent.items()}}

    def gradients(
        self, case: Case, sent: dict[str, Any], result: Any, cotangent: Any
    ) -> dict[str, Any]:
        """Differentiate ``result`` with the library's own tape."""
        raise NotImplementedError(f"{self.name} does not differentiate; give a backward function")


def cotangent_of(
    case: Case, outcome: Outcome, arguments: dict[str, np.ndarray | None]
) -> np.ndarray:
    """Return the row's random gradient of the output."""
    return case.cotangent(np.shape(outcome["output"]), arguments["input"].dtype)
