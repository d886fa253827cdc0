"""Who agrees with whom: every backend here, the NumPy definition and the frameworks installed.

Two implementations agree on a row if their results differ by no more than the derived tolerance;
how far they are apart is told in units in the last place of the terms they sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from minideeplab.backends import available_backends
from minideeplab.testing.case import Case
from minideeplab.testing.compare import Mismatch, compare, scale, tolerance
from minideeplab.testing.definitions import operation
from minideeplab.testing.frameworks import Minideeplab, Torch, installed
from minideeplab.testing.library import Library, Outcome
from minideeplab.testing.operations import cases
from minideeplab.testing.runner import attempt, judge, reference


@dataclass(frozen=True)
class Party:
    """One implementation of all operations."""

    name: str
    library: Library

    def attempt(self, case: Case, dtype: str) -> Outcome | Mismatch:
        """Return what the party gives on a row."""
        source = "torch" if isinstance(self.library, Torch) else "minideeplab"
        return attempt(operation(source, case.op), case, dtype, self.library)


@dataclass
class Agreement:
    """What was found for one operation.

    ``right`` counts for each party the rows on which it agrees with the definition; ``ulps`` is
    the largest distance of each pair of parties; ``votes`` are the rows with different opinions.
    """

    op: str
    rows: int = 0
    right: dict[str, int] = field(default_factory=dict)
    ulps: dict[tuple[str, str], float] = field(default_factory=dict)
    votes: list[str] = field(default_factory=list)

    @property
    def unanimous(self) -> bool:
        """Return whether everybody agrees with the definition on every row."""
        return not self.votes


def parties(backends: Sequence[str] | None = None) -> list[Party]:
    """Return the backends that work here (or the named ones) and the frameworks installed."""
    names = available_backends() if backends is None else backends
    found = [Party(name, Minideeplab(backend=name)) for name in names]
    return found + ([Party("torch", Torch())] if installed("torch") else [])


def verify(op: str, judged: Sequence[Party], dtype: str = "float64") -> Agreement:
    """Run every row of ``op`` on all parties; compare with the definition and each other."""
    found = Agreement(op, right={party.name: 0 for party in judged})
    for case in cases(op):
        if "random" in case.tags:
            continue
        found.rows += 1
        outcomes = {party.name: party.attempt(case, dtype) for party in judged}
        _vote(found, case, dtype, outcomes)
        for one, other in combinations(outcomes, 2):
            distance = _ulps(outcomes[one], outcomes[other], case, dtype)
            found.ulps[one, other] = max(distance, found.ulps.get((one, other), 0.0))
    return found


def _vote(
    found: Agreement, case: Case, dtype: str, outcomes: dict[str, Outcome | Mismatch]
) -> None:
    """Count who agrees with the definition on a row, and note what the others say."""
    expected, arguments = reference(case, dtype), case.arguments(dtype)
    wrong = {}
    for name, outcome in outcomes.items():
        mismatches = (
            [outcome]
            if isinstance(outcome, Mismatch)
            else judge(case, arguments, outcome, expected)
        )
        found.right[name] += not mismatches
        if mismatches:
            wrong[name] = str(mismatches[0])
    if wrong:
        agreeing = len(outcomes) - len(wrong)
        reasons = "; ".join(f"{name}: {text}" for name, text in wrong.items())
        allies = _allies(case, dtype, outcomes, list(wrong))
        found.votes.append(
            f"{case.id}: {agreeing} of {len(outcomes)} agree with the definition; {reasons}{allies}"
        )


def _allies(
    case: Case, dtype: str, outcomes: dict[str, Outcome | Mismatch], wrong: list[str]
) -> str:
    """Return which of the dissenting parties agree with each other, as text."""
    expected, arguments = reference(case, dtype), case.arguments(dtype)
    pairs = []
    for one, other in combinations(wrong, 2):
        a, b = outcomes[one], outcomes[other]
        if isinstance(a, Mismatch) or isinstance(b, Mismatch):
            continue
        same = all(
            compare(
                what,
                a[what],
                np.asarray(b[what]),
                tolerance(case, what, arguments, expected),
                np.asarray(b[what]).dtype,
            )
            is None
            for what in expected
            if what != "inputs" and what in a and what in b
        )
        pairs += [f"{one} and {other}"] if same else []
    return f"; {', '.join(pairs)} agree with each other" if pairs else ""


def _ulps(a: Outcome | Mismatch, b: Outcome | Mismatch, case: Case, dtype: str) -> float:
    """Return the largest distance, in ulps of the size of the terms summed."""
    if isinstance(a, Mismatch) or isinstance(b, Mismatch):
        return 0.0 if type(a) is type(b) else math.inf
    expected, arguments = reference(case, dtype), case.arguments(dtype)
    worst = 0.0
    for what in a.keys() & b.keys() & expected.keys() - {"inputs", "indices"}:
        left, right = (np.asarray(x[what], np.float64) for x in (a, b))
        if left.shape != right.shape:
            return math.inf
        seen = np.isfinite(left) & np.isfinite(right)
        error = np.abs(np.where(seen, left, 0) - np.where(seen, right, 0))
        size = np.dtype(dtype).type(scale(case, what, arguments, expected) or 1.0)
        worst = max(worst, float(np.max(error, initial=0.0)) / float(np.spacing(size)))
    return worst


def _number(ulps: float | None) -> str:
    return "" if ulps is None else f"{ulps:.0f}"


def table(found: Sequence[Agreement], dtype: str) -> str:
    """Return the agreements as a Markdown section."""
    names = list(found[0].right)
    pairs = list(combinations(names, 2))
    lines = [
        f"## {dtype}",
        "",
        "Below each name: the rows on which it agrees with the NumPy definition. Below each pair:",
        "how far the two are apart at most, in units in the last place of the terms summed.",
        "",
        "| operation | rows | "
        + " | ".join(names)
        + " | "
        + " | ".join(f"{a} - {b}, ulps" for a, b in pairs)
        + " |",
        "|---" * (2 + len(names) + len(pairs)) + "|",
    ]
    for agreement in found:
        right = " | ".join(str(agreement.right.get(name, "")) for name in names)
        ulps = " | ".join(_number(agreement.ulps.get(pair)) for pair in pairs)
        lines.append(f"| {agreement.op} | {agreement.rows} | {right} | {ulps} |")
    votes = [vote for agreement in found for vote in agreement.votes]
    lines += ["", *(f"- {vote}" for vote in votes)] if votes else ["", "Everybody agrees."]
    return "\n".join(lines) + "\n"
