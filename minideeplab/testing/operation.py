"""The record of all that the kit knows of one operation."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minideeplab.testing.case import Array, Case
from minideeplab.testing.definitions import parameters
from minideeplab.testing.mutant import Function, Mutant, gradients

Rng = np.random.Generator
Wrong = Mapping[str, tuple[Function, str]]
Arguments = Mapping[str, Any]
Sides = tuple[np.ndarray, np.ndarray, float]
Equation = Callable[[Any, Rng, Any], Sides]
"""``equation(f, rng, dtype)`` calls the function ``f`` and returns two arrays that must be equal up
to the rounding of sums of so many terms, exactly if that is zero."""


class Drawn(NamedTuple):
    """A random call: its arrays, its options and the arrays that it updates."""

    arrays: dict[str, Array | None]
    options: dict[str, Any]
    updated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """One right result of a row, of which a tolerance is derived."""

    case: Case
    what: str
    arguments: Arguments
    expected: Arguments

    @property
    def x(self) -> np.ndarray:
        """Return the first argument."""
        return self.arguments["input"]

    @property
    def output(self) -> np.ndarray:
        """Return the output."""
        return self.expected["output"]

    @property
    def cotangent(self) -> np.ndarray:
        """Return the random gradient of the output with which the row is differentiated."""
        return self.case.cotangent(np.shape(self.output), np.float64)

    @property
    def is_gradient(self) -> bool:
        """Return whether the result is the gradient of an argument."""
        return self.what.startswith("grad")

    @property
    def size(self) -> float:
        """Return the largest magnitude of the result."""
        return largest(self.expected[self.what])


def rms(array: Any) -> float:
    """Return the root mean square of the finite entries, 0 if there are none."""
    values = np.asarray(array, dtype=np.float64)
    values = values[np.isfinite(values)]
    return math.sqrt(float(np.mean(values**2))) if values.size else 0.0


def largest(array: Any) -> float:
    """Return the largest finite magnitude, 0 for an empty array."""
    magnitude = np.abs(np.asarray(array, dtype=np.float64))
    return float(np.max(magnitude, where=np.isfinite(magnitude), initial=0.0))


def _indices_only(case: Case, what: str) -> bool:
    return what == "indices"


def _few_products(result: Result) -> float:
    return float(4 * max(result.x.size, np.size(result.output)))


def usual_terms(result: Result, length: float) -> float:
    """Return the root mean square of the input, or of the cotangent for a gradient."""
    return rms(result.cotangent if result.is_gradient else result.x)


@dataclass(frozen=True)
class Operation:
    """All that the kit knows of one operation.

    Attributes:
        name: as in ``torch.nn.functional``.
        rows: of the table of cases.
        sample: one ordinary call, with which the properties of all operations are judged.
        draw: a random call, for fuzzing.
        forward: its known wrong implementations, with what is wrong, by name.
        backward: wrong gradients likewise; `mutant.gradients` says how they are called.
        generic: names of the mistakes of any operation that its rows show, see `generic_mutants`.
        equations: its own properties; their docstrings are shown.
        family: "network", or "crf" for what PyTorch does not have.
        linear: linear in its first argument, so that the backward is the transpose.
        approximable: may be approximated, so that NaN need not reach what is cut off.
        bordered: pads its input, so that a wrong border is one of the guesses.
        scaled_at_once: groups of options that one wrong factor would scale together.
        exact: whether a result is copied or chosen, so that it must be equal.
        products: about how many products are summed, all results together.
        terms: the size of the summed terms, where it is more than that of the result.
        quirk: whether torch's result of a random row follows from its way of computing.
        given_chance: called with a "random" row, its arguments, the outcome and the expected
            results; returns what is expected given the outcome's choices, and what is wrong with
            these, "" if nothing is.
        exported_options: its options as other languages get them.
        onnx: ONNX's name of the operator, and its attributes from the options.
    """

    name: str
    rows: Sequence[Case]
    sample: Case
    draw: Callable[[Rng], Drawn]
    forward: Wrong
    backward: Wrong = field(default_factory=dict)
    generic: str = ""
    equations: tuple[Equation, ...] = ()
    family: str = "network"
    linear: bool = False
    approximable: bool = False
    bordered: bool = False
    scaled_at_once: tuple[tuple[str, ...], ...] = ()
    exact: Callable[[Case, str], bool] = _indices_only
    products: Callable[[Result], float] = _few_products
    terms: Callable[[Result, float], float] = usual_terms
    quirk: Callable[[Case], bool] = lambda case: False
    given_chance: Callable[..., tuple[dict[str, Any], str]] | None = None
    exported_options: Callable[[Case, dict[str, Any]], dict[str, Any]] = lambda case, given: given
    onnx: tuple[str, Callable[[dict[str, Any]], dict[str, Any]]] | None = None

    def mutants(self) -> list[Mutant]:
        """Return its own wrong implementations."""
        op, changes = self.name, self.backward.items()
        found = [Mutant(op, name, text, forward=fn) for name, (fn, text) in self.forward.items()]
        return found + [
            Mutant(op, name, text, backward=gradients(op, change))
            for name, (change, text) in changes
        ]

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the names of its array arguments."""
        return max((tuple(case.arrays) for case in self.rows), key=len)

    @property
    def differentiable(self) -> tuple[str, ...]:
        """Return the names of the arguments with a gradient."""
        return max((case.differentiable for case in self.rows), key=len)

    def call(self, rng: Rng, dtype: Any) -> tuple[list[Any], dict[str, Any]]:
        """Return random arrays for an ordinary call, and its options."""
        recipes = self.sample.arrays.values()
        arrays = [a and a.lay(np.asarray(a.fill(rng, a.shape)), np.dtype(dtype)) for a in recipes]
        return arrays, dict(self.sample.options)

    def default_options(self) -> dict[str, Any]:
        """Return the default values of the options that some row gives."""
        given = {name for row in self.rows for name in row.options}
        found = {p.name: p.default for p in parameters(self.name) if p.name in given}
        return {
            name: value for name, value in found.items() if value is not inspect.Parameter.empty
        }

    def length(self, result: Result) -> float:
        """Return about how many products are summed for one entry of a result."""
        return max(1.0, self.products(result) / max(1, np.size(result.expected[result.what])))
