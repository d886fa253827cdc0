"""The operation called with other arguments, as a guess at what a wrong function does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minideeplab.testing.cases import TABLE
from minideeplab.testing.evidence import Evidence
from minideeplab.testing.frameworks import default_options
from minideeplab.testing.guesses.fitting import solve
from minideeplab.testing.mutant import Mutant, right, right_backward

Options = dict[str, Any]
Call = tuple[list[Any], Options]
Change = Callable[[list[Any], Options], Call]
"""Takes a call's arrays and options and returns others; the cotangent comes first in a backward."""


@dataclass(frozen=True)
class Calls:
    """Calls of operation ``op`` in its results, or with ``backward`` in its gradients."""

    op: str
    backward: bool

    @cached_property
    def names(self) -> list[str]:
        """Return the names of the array arguments."""
        return list(max((row.arrays for row in TABLE[self.op]), key=len))

    @cached_property
    def options(self) -> Options:
        """Return the options that the table knows: their default, else a value of some row."""
        seen = {name: v for row in TABLE[self.op] for name, v in row.options.items()}
        return seen | {name: v for name, v in self.defaults.items() if v is not None}

    @cached_property
    def defaults(self) -> Options:
        """Return the default values of the options that the table knows."""
        return default_options(self.op)

    def mutant(self, text: str, change: Change) -> Mutant:
        """Return the operation whose every call is changed first."""
        op = self.op

        def forward(*arrays: Any, **options: Any) -> Any:
            sent, asked = change(list(arrays), options)
            return right(op)(*sent, **asked)

        def backward(grad_out: np.ndarray, *arrays: Any, **options: Any) -> Any:
            sent, asked = change([grad_out, *arrays], options)
            return right_backward(op)(*sent, **asked)

        if self.backward:
            return Mutant(op, "", f"the gradients are those of {text}", backward=backward)
        return Mutant(op, "", f"the results are those of {text}", forward=forward)

    def fitted(self, row: Evidence, change: Callable[[float], Change]) -> float | None:
        """Return the number for which the changed call gives what came out on this row."""
        wrong = row.relevant(self.backward)
        if not wrong or not isinstance(row.outcome, dict) or wrong[0].kind != "value":
            return None
        what = wrong[0].what
        results = _Results(self, row, what, change)
        return solve(results, np.asarray(row.outcome[what], np.float64))


@dataclass(frozen=True)
class _Results:
    """What a row's changed call gives for result ``what``, by the number in the change."""

    calls: Calls
    row: Evidence
    what: str
    change: Callable[[float], Change]

    def __call__(self, number: float) -> np.ndarray | None:
        case, names = self.row.case, self.calls.names
        arrays = list(case.arguments(self.row.dtype).values())
        if self.calls.backward:
            shape = np.shape(self.row.outcome["output"])
            arrays.insert(0, case.cotangent(shape, self.row.dtype))
        try:
            sent, options = self.change(number)(arrays, dict(case.options))
            if self.calls.backward:
                gradients = right_backward(self.calls.op)(*sent, **options)
                return gradients[names.index(self.what.removeprefix("grad_"))]
            result = right(self.calls.op)(*sent, **options)
        except (ValueError, TypeError, ArithmeticError, LookupError):
            return None
        if self.what in names:  # running statistics
            return sent[names.index(self.what)]
        return result[self.what == "indices"] if isinstance(result, tuple) else np.asarray(result)


def examples(rows: Sequence[Evidence]) -> Iterator[Evidence]:
    """Yield up to three rows to fit numbers on: small and large ones with finite arguments."""
    good = [
        row
        for row in rows
        if isinstance(row.outcome, dict) and not row.case.tags & {"nan", "empty", "random"}
    ]
    good.sort(key=lambda row: np.size(row.outcome["output"]))
    if good:
        yield from (good[i] for i in sorted({0, len(good) // 2, len(good) - 1}))
