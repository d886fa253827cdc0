"""Test of the kit itself: every known wrong implementation must be caught and recognised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from minideeplab.testing.conformance import check_op
from minideeplab.testing.mutant import Mutant, right, right_backward
from minideeplab.testing.operations import NAMES, mutants


@dataclass(frozen=True)
class Trial:
    """What the kit says of one wrong implementation."""

    mutant: Mutant
    caught: bool
    recognised: bool
    diagnosis: str


def trials(ops: Sequence[str] = NAMES, every: int = 1) -> Iterator[Trial]:
    """Judge every mutant of ``ops``, or one in ``every`` for a quick look."""
    for op in ops:
        for mutant in mutants(op)[::every]:
            report = check_op(op, mutant.forward or right(op), mutant.backward, raises=False)
            recognised = mutant.diagnosis in report.diagnosis
            yield Trial(mutant, report.verdict == "FAIL", recognised, report.diagnosis)


def false_alarms(ops: Sequence[str] = NAMES) -> list[str]:
    """Return the operations whose own definition is refused."""
    return [
        op for op in ops if not check_op(op, right(op), right_backward(op), raises=False).passed
    ]


def self_test(ops: Sequence[str] = NAMES, show: Callable[[str], object] = print) -> bool:
    """Judge every mutant, show the result and return whether the kit is good enough.

    Good enough: every one caught, at least 90 % recognised, and no definition refused.
    """
    judged = list(trials(ops))
    caught, recognised = sum(t.caught for t in judged), sum(t.recognised for t in judged)
    for trial in judged:
        name = f"{trial.mutant.op}/{trial.mutant.name}"
        if not trial.caught:
            show(f"MISSED {name}: {trial.mutant.diagnosis}")
        elif not trial.recognised:
            shown = f"the diagnosis was {trial.diagnosis!r}"
            show(f"unrecognised {name}: {trial.mutant.diagnosis}; {shown}")
    refused = false_alarms(ops)
    show(
        f"{caught}/{len(judged)} wrong implementations caught, {recognised} recognised; "
        f"{len(ops) - len(refused)}/{len(ops)} definitions accepted"
    )
    return caught == len(judged) and recognised >= 0.9 * len(judged) and not refused
