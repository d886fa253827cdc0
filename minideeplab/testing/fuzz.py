"""Random calls of every operation, ours against PyTorch's, forward and backward.

The table holds the cases that somebody thought of; these are the others: shapes, layouts and
options as they come, wrong ones included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.testing import frameworks
from minideeplab.testing.case import Case
from minideeplab.testing.compare import Mismatch
from minideeplab.testing.definitions import operation
from minideeplab.testing.frameworks import Minideeplab
from minideeplab.testing.library import Library
from minideeplab.testing.operations import find
from minideeplab.testing.runner import attempt, judge, quiet, widened


def random_case(op: str, seed: int, number: int) -> Case:
    """Return case ``number`` of a run with ``seed``; the same two numbers make it again.

    Raises:
        ValueError: there is no such operation.
    """
    record = find(op)
    drawn = record.draw(np.random.default_rng([seed, number]))
    given = tuple(n for n in record.differentiable if drawn.arrays.get(n) is not None)
    name = f"fuzz-{seed}-{number}"
    return Case(op, name, drawn.arrays, drawn.options, given, drawn.updated)


@dataclass(frozen=True)
class Disagreement:
    """A random case in which two implementations differ."""

    case: Case
    dtype: str
    backend: str
    mismatch: Mismatch

    def __str__(self) -> str:
        arrays = {name: a.shape for name, a in self.case.arrays.items() if a is not None}
        return (
            f"{self.case.id} [{self.dtype}, {self.backend}] {self.mismatch}\n"
            f"    arrays {arrays}, options {dict(self.case.options)}"
        )


@dataclass
class Tally:
    """How many cases were compared, and how many both sides refused."""

    compared: int = 0
    refused: int = 0


def fuzz(
    op: str,
    count: int,
    seed: int,
    backends: tuple[str, ...],
    tally: Tally,
    against: Library | None = None,
) -> Iterator[Disagreement]:
    """Yield the disagreements with torch in ``count`` random cases of ``op``.

    float64 and float32 alternate. A case that torch refuses must be refused by all backends.
    """
    oracle = against or frameworks.library("torch")
    for number in range(count):
        case = random_case(op, seed, number)
        dtype = ("float64", "float32")[number % 2]
        arguments = case.arguments(dtype)
        wide = widened(arguments)
        try:
            with quiet():
                expected = oracle.run(operation(oracle.name, op), case, wide)
        except (RuntimeError, ValueError, IndexError) as error:
            expected = str(error)
        tally.refused += isinstance(expected, str)
        tally.compared += not isinstance(expected, str)
        for backend in backends:
            for mismatch in _compare(case, dtype, backend, arguments, expected):
                yield Disagreement(case, dtype, backend, mismatch)


def _compare(
    case: Case, dtype: str, backend: str, arguments: dict[str, Any], expected: dict[str, Any] | str
) -> list[Mismatch]:
    ours = attempt(operation("minideeplab", case.op), case, dtype, Minideeplab(backend=backend))
    if isinstance(expected, str):
        if isinstance(ours, Mismatch) or 0 in np.shape(ours["output"])[-2:]:
            return []  # an image without pixels is refused or not, as torch computes it
        return [Mismatch("call", "accepted", f"accepted, but torch says: {expected[:200]}")]
    if isinstance(ours, Mismatch):
        return [ours]
    return judge(case, arguments, ours, expected)
