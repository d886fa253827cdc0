"""What a failing function gave, kept to be compared with mistakes that would give the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minideeplab.testing.cases import Case, cases
from minideeplab.testing.compare import Mismatch
from minideeplab.testing.function_under_test import Subject
from minideeplab.testing.library import Outcome
from minideeplab.testing.report import RowResult


@dataclass(frozen=True)
class Evidence:
    """A failing row: its first wrong dtype, what came out there, and all that is wrong with it."""

    case: Case
    dtype: str
    outcome: Outcome | Mismatch
    mismatches: tuple[Mismatch, ...]

    def relevant(self, gradients: bool) -> list[Mismatch]:
        """Return the mismatches to explain: gradients, or the output before what follows of it."""
        found = [m for m in self.mismatches if is_gradient(m) == gradients]
        return [m for m in found if m.what == "output"] or found


def collect(subject: Subject, failures: Sequence[RowResult]) -> list[Evidence]:
    """Run the failing rows of the table once more and keep what came out."""
    by_id = {case.id: subject.fitted(case) for case in cases(subject.op)}
    evidence = []
    for row in failures:
        if row.row in by_id:
            case, dtype = by_id[row.row], row.findings[0].dtype
            wrong = tuple(f.mismatch for f in row.findings if f.dtype == dtype)
            evidence.append(Evidence(case, dtype, subject.attempt(case, dtype), wrong))
    return evidence


def is_gradient(mismatch: Mismatch) -> bool:
    """Return whether it is a gradient that is wrong."""
    return mismatch.what.startswith("grad_")
