"""Checks the label values of masks: classes that cannot be, and shares that are too small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minideeplab.data.masks import IGNORED
from minideeplab.data.report import Report

SHOWN_CLASSES = 8
RARE, DOMINANT = 0.001, 0.95  # shares of the labelled pixels that are reported


def check_values(report: Report, used: dict[int, list[Path]], num_classes: int | None) -> None:
    """Report wrong values; ``used`` has the masks of each value."""
    classes = sorted(value for value in used if value != IGNORED)
    wrong = [value for value in classes if num_classes is not None and value >= num_classes]
    if wrong:
        text = (
            f"value{'s' * (len(wrong) > 1)} {_listed(wrong)}; expected 0..{num_classes - 1} or 255"
        )
        if 0 not in used:
            text += "; no pixel is 0: do the masks count from 1?"
        report.problems[text] = sorted({path for value in wrong for path in used[value]})
    elif num_classes is None and classes and len(classes) <= classes[-1] / 2:
        text = f"values {_listed(classes)}: grey levels, not class numbers 0, 1, 2, ..."
        report.problems[text] = used[classes[-1]]
    elif classes and num_classes is not None and classes == list(range(1, num_classes)):
        text = "no pixel is 0, but all other classes occur: do the masks count from 1?"
        report.problems[text] = used[classes[0]]
    if used and not classes:
        report.problems["every pixel is 255 (ignored): nothing can be learned"] = used[IGNORED]
    if classes == [0]:
        rest = "; nothing can be learned"
        if IGNORED in used:
            rest = f" and 255, which means ignored{rest}: number an object 1, not 255"
        report.problems[f"masks hold only class 0{rest}"] = used[0]
    if used and IGNORED not in used:
        report.notes.append("no pixel is 255 (ignored): is the void drawn as a class?")


def _listed(values: Sequence[object]) -> str:
    """Return the first few values, and how many there are if that is not all."""
    more = f", ... ({len(values)} in all)" if len(values) > SHOWN_CLASSES else ""
    return ", ".join(map(str, values[:SHOWN_CLASSES])) + more


def check_balance(report: Report, num_classes: int | None) -> None:
    """Note classes that have nearly all pixels, nearly none, or none."""
    counts = report.pixels[: IGNORED if num_classes is None else num_classes]
    if not counts.any():
        return
    shares = counts / counts.sum()
    for value in np.flatnonzero(shares > DOMINANT):
        report.notes.append(f"class {value} has {shares[value]:.1%} of the labelled pixels")
    rare = [
        f"class {value} has {shares[value]:.3%}"
        for value in np.flatnonzero((counts > 0) & (shares < RARE))
    ]
    if rare:
        report.notes.append(
            f"{_listed(rare)} of the labelled pixels: weigh the classes (train --class-weights) "
            "or add images"
        )
    missing = np.flatnonzero(counts == 0)
    if num_classes is not None and missing.size:
        report.notes.append(f"no pixel of class {_listed(missing.tolist())}")
