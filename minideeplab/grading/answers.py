"""A student's right functions, called in the sandbox, timed, with ours where theirs cannot run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.grading.calls import CallFailed, Calls


@dataclass
class Usage:
    """How often, and for how many seconds, an operation ran on the student's code and on ours."""

    theirs: int = 0
    their_seconds: float = 0.0
    ours: int = 0
    our_seconds: float = 0.0
    note: str = ""


class Answers:
    """The functions of a student that were judged right, by name, and their use so far.

    Args:
        functions: the process that runs each function.
        seconds: what the calls of one process may take; a call that is expected to take longer
            than what is left is made on our code.
    """

    def __init__(self, functions: dict[str, Calls], seconds: float) -> None:
        self.functions, self.usage = dict(functions), {}
        self._seconds = seconds
        self._spent: dict[Calls, float] = dict.fromkeys(self.functions.values(), 0.0)
        self._calls = 0
        self._pace: dict[str, float] = {}  # seconds for a unit of work, by function

    def has(self, *names: str) -> bool:
        """Tell whether at least one of these functions is the student's."""
        return any(name in self.functions for name in names)

    def needs_probe(self, name: str) -> bool:
        """Tell whether the student's function is there and its pace is unknown."""
        return name in self.functions and name not in self._pace

    def affords(self, name: str, work: float) -> bool:
        """Tell whether so much work is expected to finish in the time that is left."""
        left = self._seconds - self._spent[self.functions[name]]
        return self._pace.get(name, 0.0) * work <= left

    def call(self, name: str, shape: Sequence[int], work: float, *args: Any) -> Any:
        """Return the result of the student's function; see `each`."""
        return self.each(name, [shape], work, [args])[0]

    def each(
        self, name: str, shapes: Sequence[Sequence[int]], work: float,
        calls: Sequence[tuple[Any, ...]],
    ) -> list[Any]:  # fmt: skip
        """Return the results of calls of the student's function, on float64 instead of float32.

        Args:
            name: of the function.
            shapes: that each result must have; two arrays of one shape are (2, *shape).
            work: elementary steps of all calls, to estimate the time of later ones.
            calls: the arguments of each.

        Raises:
            CallFailed: it could not run, or a result has another shape.
        """
        process, start = self.functions[name], time.perf_counter()
        results = process.each(name, [_double(args) for args in calls])
        seconds = time.perf_counter() - start
        self._spent[process] += seconds
        self._pace[name] = seconds / work
        self._calls += len(calls)
        return [_checked(result, shape) for result, shape in zip(results, shapes, strict=True)]

    def run(
        self, operation: str, name: str, work: float,
        theirs: Callable[[], Any], ours: Callable[[], Any] | None,
    ) -> Any:  # fmt: skip
        """Return the result of ``theirs`` if the function is there, fast enough and works, or ours.

        Args:
            operation: the line of the report.
            name: the student's function, which ``theirs`` calls through `call`.
            work: of all its calls.
            theirs: computes the result with the student's function.
            ours: computes it without; None for a trial, whose result is not needed.
        """
        usage, start = self.usage.setdefault(operation, Usage()), time.perf_counter()
        if name in self.functions:
            if self.affords(name, work):
                try:
                    before = self._calls
                    result = theirs()
                    usage.theirs += self._calls - before
                    usage.their_seconds += time.perf_counter() - start
                    return result
                except (CallFailed, AttributeError) as failure:  # a pair where an array belongs
                    usage.note = f"{name}: {failure}"
                    del self.functions[name]
            else:
                usage.note = f"{name}: too slow for the rest within {self._seconds:g} s"
        if ours is None:
            return None
        start = time.perf_counter()
        result = ours()
        usage.ours += 1
        usage.our_seconds += time.perf_counter() - start
        return result


def _checked(result: Any, shape: Sequence[int]) -> Any:
    """Return an array, or a tuple of arrays, if it has numbers and the right shape."""
    parts = result if isinstance(result, tuple) and len(result) == 2 else (result,)
    shapes = [part.shape if isinstance(part, np.ndarray) else type(part) for part in parts]
    expected = [tuple(shape)] if len(parts) == 1 else [tuple(shape[1:])] * shape[0]
    if shapes != expected or any(part.dtype.kind not in "fiu" for part in parts):
        raise CallFailed(f"returned {shapes}, expected {expected}")
    return result


def _double(value: Any) -> Any:
    """Return an argument with its arrays of floats in float64, which lessons use."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(np.float64)
    if isinstance(value, (list, tuple)):
        return type(value)(_double(item) for item in value)
    return value
