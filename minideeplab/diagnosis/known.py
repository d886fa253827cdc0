"""Mistakes, and the search for those that give the same wrong results and contradict no case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from minideeplab.diagnosis.evidence import Evidence, Fault, Raised, Results

ENOUGH = 0.3
"""The share of the failing rows on which a mistake must give the same results to be named."""

SURE = 0.9
"""The share from which on nothing else is looked for."""

GLANCE = 6
"""Rows after which a guess is given up if it fits none of them: there are hundreds of guesses."""

ENOUGH_RAISED = 0.7
"""As `ENOUGH`, where rows only raise, which says less than equal wrong results."""

UNSEEN = ("missing", "written", "share")
"""Kinds of faults that are no wrong results: there is nothing to compare."""


INVALID = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)
"""What a change raises in a case in which it has no meaning."""


@dataclass(frozen=True)
class Prediction:
    """What a mistake gives in a case; ``faults`` if they are judged already."""

    results: Results | Raised
    faults: Sequence[Fault] | None = None

    def wrong(self, row: Evidence) -> set[str]:
        """Return the names of the results that a case would have wrong."""
        if isinstance(self.results, Raised):
            return {"call"}
        if self.faults is not None:
            return {fault.what for fault in self.faults}
        return {
            what for what, value in self.results.items()
            if what in row.right and not row.same(what, value, row.right[what], 1.0)
        }  # fmt: skip


@dataclass(frozen=True)
class Mistake:
    """A mistake in words, and what it gives in a case (None where it cannot be made).

    ``name``: of a known one; guesses have none. ``fitted``: it holds a number that was fitted to
    one case, or a factor, and needs another case that confirms it.
    """

    text: str
    predict: Callable[[Evidence], Prediction | None]
    name: str = ""
    fitted: bool = False


@dataclass(frozen=True)
class Explanation:
    """A mistake, the failing rows that it explains, their share, and whether a row refutes it."""

    mistake: Mistake
    matched: list[Evidence]
    share: float
    refuted: bool


def explanations(
    mistakes: Iterable[Mistake], rows: Sequence[Evidence], passed: Sequence[Evidence],
    gradients: bool = False, least: float = ENOUGH, most: int = 2,
) -> list[Explanation]:  # fmt: skip
    """Return the mistakes that explain at least this share of the rows, best first.

    The search ends after ``most`` that explain all rows.
    """
    found: list[Explanation] = []
    for mistake in mistakes:
        matched = _matched(mistake, rows, gradients, least)
        if matched:
            refuted = any(contradicts(mistake, row, gradients) for row in passed)
            found.append(Explanation(mistake, matched, len(matched) / len(rows), refuted))
            if sum(e.share == 1.0 and not e.refuted for e in found) == most:
                break
    return sorted(found, key=lambda e: (e.refuted, -e.share))


def _matched(
    mistake: Mistake, rows: Sequence[Evidence], gradients: bool, least: float
) -> list[Evidence]:
    """Return the rows on which the mistake gives the same, [] if they are not enough."""
    only_raised = all(row.raised for row in rows)
    enough = (max(least, ENOUGH_RAISED) if only_raised else least) * len(rows)
    matched: list[Evidence] = []
    mixed = [row for start in range(GLANCE) for row in rows[start::GLANCE]]
    for number, row in enumerate(mixed):
        hopeless = len(matched) + len(rows) - number < enough  # even if all others match
        if hopeless or (not mistake.name and number >= GLANCE and not matched):
            return []
        matched += [row] if agrees(mistake, row, gradients) else []
    if len(matched) < max(enough, 2 if mistake.fitted else 1):
        return []
    return matched


def agrees(mistake: Mistake, row: Evidence, gradients: bool = False) -> bool:
    """Return whether the mistake makes all of a failing row's faults, with equal results."""
    predicted, relevant = mistake.predict(row), row.relevant(gradients)
    if predicted is None or not relevant:
        return False
    if row.raised or isinstance(predicted.results, Raised):  # never compared with numbers
        return row.raised and row.got.like(predicted.results)
    wrong = predicted.wrong(row)
    kinds = {(f.what, f.kind) for f in (relevant if predicted.faults is None else predicted.faults)}
    if not {f.what for f in relevant} <= wrong or not {(f.what, f.kind) for f in relevant} <= kinds:
        return False
    if _of(wrong, gradients) - {fault.what for fault in row.faults}:  # it spoils what is right
        return False
    if row.alike is not None:
        return row.alike(predicted.results)
    return all(
        predicted.faults is not None if f.kind in UNSEEN
        else row.same(f.what, row.got[f.what], predicted.results[f.what], 2.0)
        for f in relevant
    )  # fmt: skip


def contradicts(mistake: Mistake, row: Evidence, gradients: bool = False) -> bool:
    """Return whether the mistake would spoil a row that is right.

    A guess may ask for what the right function refuses, which says nothing.
    """
    predicted = mistake.predict(row)
    if predicted is None or (isinstance(predicted.results, Raised) and not mistake.name):
        return False
    return bool(_of(predicted.wrong(row), gradients))


def _of(names: set[str], gradients: bool) -> set[Any]:
    """Return the names that belong to gradients, or to all other results."""
    if gradients:
        return names
    return {name for name in names if not name.startswith("grad_")}
