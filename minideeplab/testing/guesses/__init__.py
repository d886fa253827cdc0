"""Guesses at mistakes that no table of mutants holds, made of what the function gave.

Each guess is a mutant of its own: it is believed only if it gives the same wrong results on the
failing rows, and right ones on the others. See `diagnose`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minideeplab.testing.evidence import Evidence
from minideeplab.testing.guesses.arrays import other_arrays
from minideeplab.testing.guesses.options import other_options
from minideeplab.testing.guesses.results import changed_results
from minideeplab.testing.mutant import Mutant

__all__ = ["guesses"]


def guesses(op: str, rows: Sequence[Evidence], gradients: bool) -> Iterator[Mutant]:
    """Yield mistakes that might explain the rows: simple changes of results, then of arguments."""
    if rows:
        yield from changed_results(op, rows, gradients)
        yield from other_arrays(op, rows, gradients)
        yield from other_options(op, rows, gradients)
