"""Evidence: what one case gave, the right results, the arguments, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

Results = Mapping[str, Any]
"""Results by name: "output", "grad_weight", or a part of a returned tuple."""

Pair = tuple[np.ndarray, np.ndarray, float]
"""A wrong result, the right one, and the tolerance."""


@dataclass(frozen=True)
class Fault:
    """One wrong result: which, in what way ("value", "nan", "shape", "dtype", ...), in words."""

    what: str
    kind: str
    message: str = ""


@dataclass(frozen=True)
class Raised:
    """An exception instead of results: its type, its message, and where it was raised."""

    error: str
    message: str
    where: str = ""

    def __str__(self) -> str:
        place = f"{self.where} raises " if self.where else ""
        return f"{place}{self.error}: {self.message}".strip(": ")

    def like(self, other: Any) -> bool:
        """Return whether another result is the same exception, numbers in its message apart."""
        return isinstance(other, Raised) and self.kind == other.kind

    @property
    def kind(self) -> tuple[str, str]:
        """The type, and the message up to a colon without its numbers."""
        return self.error, re.sub(r"\d+", "#", self.message).partition(":")[0]


@dataclass(frozen=True, eq=False)
class Evidence:
    """One case, passed or failed.

    Attributes:
        name: of the case.
        arguments: returns fresh array arguments (in `grading`: all positional ones) by name.
        options: the keyword arguments that the case gives.
        right: the right results.
        got: the function's results, or what it raised.
        faults: what is wrong; empty if the case passed.
        same: ``same(what, one, other, room)``, whether two values of a result are equal within
            ``room`` times its tolerance.
        tolerance: returns the largest error that a right function may have in a result.
        dtype: of floating-point results.
        cotangent: the gradient of the output, where there are gradients.
        tags: traits of the case in words.
        note: why the case is there.
        alike: for results that depend on chance, whether other results have the same distribution.
        source: the case as the caller holds it.
    """

    name: str
    arguments: Callable[[], dict[str, Any]]
    options: Mapping[str, Any]
    right: Results
    got: Results | Raised
    faults: Sequence[Fault]
    same: Callable[[str, Any, Any, float], bool]
    tolerance: Callable[[str], float]
    dtype: Any = np.float64
    cotangent: Any = None
    tags: Sequence[str] = ()
    note: str = ""
    alike: Callable[[Results], bool] | None = None
    source: Any = field(default=None)

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """The arguments by name, to be read only; "grad_out" is the gradient of the output."""
        given = self.arguments()
        return given if self.cotangent is None else {**given, "grad_out": self.cotangent}

    @property
    def raised(self) -> bool:
        """Whether the function raised."""
        return isinstance(self.got, Raised)

    def wrong(self, gradients: bool) -> list[Fault]:
        """Return the faults of gradients, or of all other results."""
        return [f for f in self.faults if f.what.startswith("grad_") == gradients]

    def relevant(self, gradients: bool) -> list[Fault]:
        """Return the faults to explain: of gradients, or of the output before what follows it."""
        found = self.wrong(gradients)
        return [f for f in found if f.what == "output"] or found


def is_number(value: Any) -> bool:
    """Return whether ``value`` is an array or a number."""
    return isinstance(value, np.ndarray | np.generic | bool | int | float | complex)


def largest(array: Any) -> float:
    """Return the largest finite magnitude, 0 for an empty array."""
    magnitude = np.abs(np.asarray(array, dtype=np.float64))
    return float(np.max(magnitude, where=np.isfinite(magnitude), initial=0.0))


def value_pairs(rows: Sequence[Evidence]) -> list[Pair]:
    """Return wrong and right result and tolerance of all results in which only values differ."""
    return [
        (np.asarray(row.got[f.what], np.float64), np.asarray(row.right[f.what], np.float64),
         row.tolerance(f.what))
        for row in rows if not row.raised
        for f in row.faults if f.kind == "value" and f.what in row.right
    ]  # fmt: skip


def right_pairs(rows: Sequence[Evidence], names: set[str]) -> list[Pair]:
    """Return the named results of rows in which they are right, as `value_pairs` does."""
    pairs = []
    for row in rows:
        for what in names - {f.what for f in row.faults}:
            value = row.right.get(what)
            if is_number(value) and np.asarray(value).dtype.kind in "iuf":
                array = np.asarray(value, np.float64)
                pairs.append((array, array, row.tolerance(what)))
    return pairs
