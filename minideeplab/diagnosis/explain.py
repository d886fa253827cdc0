"""Explain failing rows: what raises, known mistakes, guesses, relations, and shared traits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minideeplab.diagnosis.arguments import Function, other_arguments, other_options
from minideeplab.diagnosis.evidence import Evidence, largest, right_pairs, value_pairs
from minideeplab.diagnosis.known import SURE, Explanation, Mistake, agrees, explanations
from minideeplab.diagnosis.relations import factors_of_cases, place, related, rising, shape_remark
from minideeplab.diagnosis.results import changed_results
from minideeplab.diagnosis.traits import shared

MOST = 3
"""How many mistakes one function is believed to make."""


def explain(
    rows: Sequence[Evidence], passed: Sequence[Evidence], known: Sequence[Mistake],
    function: Function, gradients: bool = False,
    convention: Callable[[Sequence[Evidence]], str] | None = None,
) -> str:  # fmt: skip
    """Return the best explanation of rows that are wrong in their outputs, or gradients.

    Args:
        rows: the failing ones.
        passed: rows in which these results are right; nothing is said that they refute.
        known: mistakes to compare with.
        function: the right one, for guesses.
        gradients: whether gradients are wrong, or other results.
        convention: returns under which convention rows would be right, "" if none is found.
    """
    raised = [row for row in rows if row.raised]
    wrong = [row for row in rows if not row.raised]
    others = [*passed, *raised]
    parts, mistakes, rest, local = _mistakes(wrong, passed, known, function, gradients)
    if wrong and not parts and convention is not None:
        found = convention(rows)
        if found:
            return found
    if not parts and wrong:
        said = remark(wrong, others, function.defaults, bool(local))
        parts = [said, local if said else local.replace("there", f"on {len(wrong)} rows", 1)]
    elif rest:
        said = remark(rest, others + [row for row in wrong if row not in rest], function.defaults)
        more = "row is" if len(rest) == 1 else "rows are"
        parts.append(f"{len(rest)} more {more} wrong in another way: {said}")
    left = [row for row in raised if not any(agrees(m, row, gradients) for m in mistakes)]
    parts += _exceptions(left, [row for row in [*passed, *wrong] if row not in left],
                         known, function, gradients)  # fmt: skip
    return "; ".join(dict.fromkeys(part for part in parts if part))


def _mistakes(
    rows: Sequence[Evidence], passed: Sequence[Evidence], known: Sequence[Mistake],
    function: Function, gradients: bool,
) -> tuple[list[str], list[Mistake], list[Evidence], str]:  # fmt: skip
    """Return what mistakes explain the rows, in words, the mistakes, and the rows left over.

    The last is a mistake that these rows show and others, which are right, do not.
    """
    parts: list[str] = []
    mistakes: list[Mistake] = []
    local, rest = "", list(rows)
    while rest and len(parts) < MOST:
        found = explanations(known, rest, passed, gradients)
        best = found[0] if found else None
        if best is None or best.refuted or best.share < SURE:
            for guesses in _guesses(function, rest, gradients):
                found += explanations(guesses, rest, passed, gradients)
                if any(e.share == 1.0 and not e.refuted for e in found):
                    break
        equal = best_of(found)
        if not equal or (parts and len(equal[0].matched) < 2):
            local = "" if parts else _in_these_rows(found, rest)
            break
        parts.append(_said(equal, len(rest)))
        mistakes += [e.mistake for e in equal]
        rest = [row for row in rest if row not in equal[0].matched]
    return parts, mistakes, rest, local


def _guesses(
    function: Function, rows: Sequence[Evidence], gradients: bool
) -> Iterator[Iterator[Mistake]]:
    """Yield families of guesses: the results changed, other arguments, other options."""
    names = list(function.arguments)
    yield changed_results(rows, gradients, names, function.sizes)
    yield other_arguments(function, rows, gradients)
    yield other_options(function, rows, gradients)


def best_of(found: Sequence[Explanation]) -> list[Explanation]:
    """Return the explanations that fit best and equally well, two at most; none is refuted.

    A fitted number says no more than another mistake that needs none.
    """
    fitting = sorted((e for e in found if not e.refuted), key=lambda e: -e.share)
    equal = [e for e in fitting if e.matched == fitting[0].matched]
    plain = [e for e in equal if not e.mistake.fitted]
    return (plain or equal[:1])[:2]


def _said(equal: Sequence[Explanation], count: int) -> str:
    """Return mistakes that fit equally well in words."""
    first, *others = dict.fromkeys(e.mistake.text for e in equal)
    names = ", ".join(e.mistake.name for e in equal if e.mistake.name)
    rows = f"the same on {len(equal[0].matched)} of {count} failing rows"
    also = f" (or, as well, {others[0]})" if others else ""
    return f"{first}{also} [{names}: {rows}]" if names else f"{first}{also} [{rows}]"


def _in_these_rows(found: Sequence[Explanation], rows: Sequence[Evidence]) -> str:
    """Return what explains nearly all of the rows, though others would be wrong by it, too."""
    best = max(found, key=lambda e: e.share, default=None)
    if best is None or len(best.matched) < max(2.0, SURE * len(rows)):
        return ""
    return f"there, but not elsewhere, {best.mistake.text}"


def _exceptions(
    raised: Sequence[Evidence], others: Sequence[Evidence], known: Sequence[Mistake],
    function: Function, gradients: bool,
) -> Iterator[str]:  # fmt: skip
    """Yield for each kind of exception its message, how many rows raise it, and which."""
    kinds: dict[Any, list[Evidence]] = {}
    for row in raised:
        kinds.setdefault(row.got.kind, []).append(row)
    for rows in sorted(kinds.values(), key=len, reverse=True)[:MOST]:
        count = f"{len(rows)} rows raise, such as {rows[0].name}" if len(rows) > 1 else rows[0].name
        yield f"{count}: {rows[0].got}"
        rest = [*others, *(row for row in raised if row not in rows)]
        if not rest:
            yield "every row raises"
        yield shared(rows, rest, function.defaults)
        for e in best_of(explanations(known, rows, others, gradients)):
            if e.share == 1.0:
                yield f"as where {e.mistake.text} [{e.mistake.name}]"


def remark(
    rows: Sequence[Evidence], others: Sequence[Evidence], defaults: Mapping[str, Any],
    explained: bool = False,
) -> str:  # fmt: skip
    """Return what the wrong results have in common: how they are wrong, where, and in which rows.

    If nothing is seen, say how much, and name the smallest failing row. ``explained``: how they
    are wrong is said elsewhere.
    """
    how = "" if explained else _kinds(rows) or _shapes(rows) or _values(rows, others)
    where = shared(rows, others, defaults)
    said = [part for part in (_only(rows), how, where) if part]
    if how or explained:
        return ", and ".join(said)
    if not where.startswith("exactly"):
        smallest = min(rows, key=_effort)
        note = f" ({smallest.note})" if smallest.note else ""
        count = f"simplest of {len(rows)} wrong rows" if len(rows) > 1 else "one wrong row"
        said.append(f"the {count} is {smallest.name}{note}")
    return ", and ".join(["no known mistake", *said, *_size(rows)])


def _size(rows: Sequence[Evidence]) -> Iterator[str]:
    """Say how large the errors are beside the right results, and how many entries are wrong."""
    pairs = [(g, e, t) for g, e, t in value_pairs(rows) if g.shape == e.shape]
    if pairs:
        share = max(largest(got - right) / (largest(right) or 1) for got, right, _ in pairs)
        wrong = np.concatenate([np.ravel(np.abs(got - right) > tol) for got, right, tol in pairs])
        yield f"errors reach {share:.2g} of the largest result"
        if wrong.mean() < 0.9:
            yield f"{wrong.mean():.0%} of the entries are wrong"


def _only(rows: Sequence[Evidence]) -> str:
    """Say which gradients are wrong if others of the same rows are right."""
    wrong = {fault.what for row in rows for fault in row.faults}
    judged = {name for row in rows for name in row.right if name.startswith("grad_")}
    if not wrong < judged:
        return ""
    return f"only {' and '.join(sorted(wrong))} {'is' if len(wrong) == 1 else 'are'} wrong"


def _effort(row: Evidence) -> tuple[int, int]:
    sizes = [np.size(a) for name, a in row.arrays.items() if a is not None and name != "grad_out"]
    return len(row.options) + len(sizes), sum(sizes)


def _kinds(rows: Sequence[Evidence]) -> str:
    """Say what is wrong besides numbers, if it is the same in all rows."""
    faults = [fault for row in rows for fault in row.faults]
    kinds, names = {f.kind for f in faults}, sorted({f.what for f in faults})
    said = " and ".join(names)
    if kinds == {"dtype"}:
        return f"the results have another dtype than the input: {faults[0].message}"
    if kinds == {"nan"}:
        return "NaN or infinity comes out where it should not, or is lost where it should"
    if kinds == {"written"}:
        return f"the call writes to its {said}"
    if "share" in kinds:
        share = next(f.message for f in faults if f.kind == "share")
        return f"too many or too few entries are kept: {share}"
    if kinds == {"missing"}:
        return f"{said} is missing"
    if all(name.startswith("running") for name in names):
        return f"the output is right, {said} not"
    if names == ["indices"] and not kinds - {"value"}:
        return "the maxima are right, their indices are not"
    return ""


def _shapes(rows: Sequence[Evidence]) -> str:
    """Say in what way shapes are wrong, if all faults are of shapes."""
    shapes = []
    for row in rows:
        for fault in row.faults:
            if fault.kind != "shape":
                return ""
            got = np.shape(row.got[fault.what])
            names = [n for n in row.right if n.startswith("grad_")]
            if fault.what in names and any(np.shape(row.right[n]) == got for n in names):
                return "the gradients are returned in another order than the arguments"
            shapes.append((got, np.shape(row.right[fault.what])))
    return shape_remark(shapes)


def _values(rows: Sequence[Evidence], others: Sequence[Evidence]) -> str:
    """Say how wrong numbers are related to the right ones."""
    pairs = value_pairs(rows)
    if not pairs:
        return ""
    names = {fault.what for row in rows for fault in row.faults}
    return (
        related(pairs, right_pairs(others, names))
        or place(pairs)
        or factors_of_cases(pairs, [row.name for row in rows])
        or rising(pairs)
    )
