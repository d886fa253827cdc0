"""Split one data set into images to train on and images to validate on, by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

FRAME = re.compile(r"[-_. ]*\d+$")  # the number of a frame at the end of a name


def split_names(
    names: Sequence[str], fraction: float, by: str = "sequence"
) -> tuple[list[int], list[int]]:
    """Return the positions of names to train on, and of about ``fraction`` to validate on.

    Args:
        names: of the images.
        fraction: above 0, below 1.
        by: "sequence" keeps names together that differ by a number at their end, because
            neighbouring frames look alike, and takes whole sequences, or the last images if there
            is one sequence only; a number keeps names together that begin with as many equal
            characters; "random" takes single images.

    Raises:
        ValueError: fewer than two images, or an argument out of its range.
    """
    if len(names) < 2:
        raise ValueError(f"val_fraction: {len(names)} images, expected 2 or more to split")
    if not 0 < fraction < 1:
        raise ValueError(f"val_fraction: {fraction}, expected a number above 0, below 1")
    wanted = min(len(names) - 1, max(1, round(fraction * len(names))))
    groups = _groups(names, by)
    chosen = _choose(groups, wanted)
    if chosen is None:  # one sequence, or sequences too long: the last images of all
        chosen = sorted(range(len(names)), key=names.__getitem__)[-wanted:]
    held = set(chosen)
    return [i for i in range(len(names)) if i not in held], sorted(held)


def _groups(names: Sequence[str], by: str) -> list[list[int]]:
    """Return positions of names that belong together."""
    if by not in ("sequence", "random") and not (by.isdigit() and int(by) > 0):
        raise ValueError(f"val_by: {by!r}, expected sequence, random, or a number of characters")
    groups: dict[str, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        key = {"sequence": FRAME.sub("", name), "random": f"{position}"}.get(by)
        groups[name[: int(by)] if key is None else key].append(position)
    return [groups[key] for key in sorted(groups)]


def _choose(groups: list[list[int]], wanted: int) -> list[int] | None:
    """Return whole groups of about ``wanted`` images together; None if none are that small."""
    chosen: list[int] = []
    for index in np.random.default_rng(0).permutation(len(groups)):
        if len(chosen) + len(groups[index]) <= 1.25 * wanted:
            chosen += groups[index]
        if len(chosen) >= wanted:
            break
    return chosen or None
