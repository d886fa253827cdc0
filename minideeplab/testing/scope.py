"""Which rows a function is judged on: a stated scope, tags left out, random rows."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from minideeplab.testing.case import Case
from minideeplab.testing.fuzz import random_case
from minideeplab.testing.operations import OPERATIONS, cases
from minideeplab.testing.runner import quiet, reference

SCOPES = ("all", "inference")


@dataclass(frozen=True)
class Scope:
    """What a function claims to do of an operation.

    Attributes:
        only: words; a row is judged if one of them is a tag, a value of an option, an option with
            its value ("groups=2"), or a word of the row's name.
        name: "inference" leaves out rows with ``training=True``; "all" none.
        skip: tags of rows to leave out.
    """

    only: tuple[str, ...] = ()
    name: str = "all"
    skip: tuple[str, ...] = ("quirk",)

    def __contains__(self, case: Case) -> bool:
        options = OPERATIONS[case.op].default_options() | dict(case.options)
        if case.tags & set(self.skip) or (self.name == "inference" and options.get("training")):
            return False
        return not self.only or bool(_words(case) & set(self.only))

    def __str__(self) -> str:
        said = [f"only {' and '.join(self.only)}"] if self.only else []
        return ", ".join(said + ([self.name] if self.name != "all" else []))

    def validate(self, op: str) -> None:
        """Raise ValueError for an unknown tag or scope, and for a word that no row of ``op`` has.

        The message names the known ones.
        """
        tags = sorted({tag for name in OPERATIONS for case in cases(name) for tag in case.tags})
        for tag in self.skip:
            if tag not in tags:
                raise ValueError(f"skip: got {tag!r}, expected one of {', '.join(tags)}")
        if self.name not in SCOPES:
            raise ValueError(f"scope: got {self.name!r}, expected one of {SCOPES}")
        for word in self.only:
            if not any(word in _words(case) for case in cases(op)):
                raise ValueError(
                    f"only: got {word!r}, expected a tag, an option's value or a word of the names "
                    f"of the rows of {op}, which `minideeplab check --list` prints"
                )


def _words(case: Case) -> set[str]:
    """Return the words by which a row can be chosen."""
    options = OPERATIONS[case.op].default_options() | dict(case.options)
    values = {str(v) for v in options.values()} | {f"{k}={v}" for k, v in options.items()}
    return values | case.tags | {case.name, *case.name.split("-")}


def random_rows(op: str, count: int, seed: int | None = None) -> list[Case]:
    """Return ``count`` random rows of ``op`` that the definition accepts, named by their seed.

    Rows in which torch's result follows from its way of computing are left out.
    """
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    rows, number = [], 0
    while len(rows) < count:
        case, number = random_case(op, seed, number), number + 1
        try:
            with quiet():
                output = reference(case, "float64")["output"]
        except (ValueError, TypeError):
            continue
        if 0 not in np.shape(output)[-2:] and not OPERATIONS[op].quirk(case):
            rows.append(replace(case, tags=_tags(case)))
    return rows


def _tags(case: Case) -> frozenset[str]:
    recipes = [recipe for recipe in case.arrays.values() if recipe is not None]
    tags = {"empty"} if any(0 in recipe.shape for recipe in recipes) else set()
    record = OPERATIONS[case.op]
    if len(recipes[0].shape) < len(record.sample.arrays["input"].shape):
        tags |= {"unbatched"} & {tag for row in record.rows for tag in row.tags}
    if any(recipe.layout != "contiguous" for recipe in recipes):
        tags.add("strided")
    return frozenset(tags)


def chosen(op: str, scope: Scope, fuzz: int = 0, seed: int | None = None) -> list[Case]:
    """Return the rows of ``op`` in the scope, and ``fuzz`` random ones."""
    drawn: Sequence[Case] = random_rows(op, fuzz, seed) if fuzz else ()
    return [case for case in [*cases(op), *drawn] if case in scope]
