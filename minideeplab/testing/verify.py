"""Cross-check backends, definitions and frameworks.

Two implementations agree on a row if their results differ by no more than the derived tolerance.
Distances are in units in the last place of the summed terms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from minideeplab.backends import available_backends
from minideeplab.testing.case import FLOAT32_IN_TORCH, Case
from minideeplab.testing.compare import Mismatch, compare, scale, tolerance
from minideeplab.testing.definitions import operation
from minideeplab.testing.frameworks import Minideeplab, Torch, installed
from minideeplab.testing.library import Library, Outcome
from minideeplab.testing.operations import cases
from minideeplab.testing.runner import attempt, judge, reference


@dataclass(frozen=True)
class Implementation:
    """A backend or framework: it implements all operations."""

    name: str
    library: Library

    def attempt(self, case: Case, dtype: str) -> Outcome | Mismatch:
        """Return the outcome of a row."""
        source = "torch" if isinstance(self.library, Torch) else "minideeplab"
        return attempt(operation(source, case.op), case, dtype, self.library)


@dataclass
class Agreement:
    """What was found for one operation.

    ``right`` counts the rows on which each implementation agrees with the definition; ``ulps`` is
    the largest distance of each pair; ``disagreements`` describes the other rows.
    """

    op: str
    rows: int = 0
    right: dict[str, int] = field(default_factory=dict)
    ulps: dict[tuple[str, str], float] = field(default_factory=dict)
    disagreements: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Return whether all implementations agree with the definition on every row."""
        return not self.disagreements


def implementations(backends: Sequence[str] | None = None) -> list[Implementation]:
    """Return the backends that work here (or the named ones) and the frameworks installed."""
    names = available_backends() if backends is None else backends
    found = [Implementation(name, Minideeplab(backend=name)) for name in names]
    return found + ([Implementation("torch", Torch())] if installed("torch") else [])


def verify(op: str, judged: Sequence[Implementation], dtype: str = "float64") -> Agreement:
    """Run every row of ``op`` on all implementations; compare with the definition and pairwise."""
    found = Agreement(op, right={one.name: 0 for one in judged})
    for case in cases(op):
        if "random" in case.tags or (FLOAT32_IN_TORCH in case.tags and dtype == "float64"):
            continue
        found.rows += 1
        outcomes = {one.name: one.attempt(case, dtype) for one in judged}
        _count(found, case, dtype, outcomes)
        for one, other in combinations(outcomes, 2):
            distance = _ulps(outcomes[one], outcomes[other], case, dtype)
            found.ulps[one, other] = max(distance, found.ulps.get((one, other), 0.0))
    return found


def _count(
    found: Agreement, case: Case, dtype: str, outcomes: dict[str, Outcome | Mismatch]
) -> None:
    """Count the results that agree with the definition on a row, and describe the others."""
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
        pairs = _agreeing(case, dtype, outcomes, list(wrong))
        found.disagreements.append(
            f"{case.id}: {agreeing} of {len(outcomes)} agree with the definition; {reasons}{pairs}"
        )


def _agreeing(
    case: Case, dtype: str, outcomes: dict[str, Outcome | Mismatch], wrong: list[str]
) -> str:
    """Return which of the ``wrong`` implementations agree with each other, as text."""
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
        "their largest distance, in units in the last place of the summed terms.",
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
    others = [text for agreement in found for text in agreement.disagreements]
    lines += ["", *(f"- {text}" for text in others)] if others else ["", "All agree."]
    return "\n".join(lines) + "\n"
