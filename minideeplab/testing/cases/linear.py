"""Rows for linear."""

from __future__ import annotations

from typing import Any

from minideeplab.testing.case import Case, constant, nan_in_parameters, weighted

Shape = tuple[int, ...]


def _linear(name: str, x: Shape, w: Shape, b: int | None = None, **options: Any) -> Case:
    return weighted("linear", name, x, w, b, **options)


LINEAR = [
    _linear("plain", (3, 5), (4, 5)),
    _linear("bias", (3, 5), (4, 5), 4),
    _linear("unbatched", (5,), (4, 5), 4, tags=("unbatched",)),
    _linear("three-axes", (2, 3, 5), (4, 5), 4),
    _linear("four-axes", (2, 3, 2, 5), (4, 5)),
    _linear("one-output", (3, 5), (1, 5), 1),
    _linear("one-input", (3, 1), (4, 1), 4),
    _linear("empty-batch", (0, 5), (4, 5), 4, tags=("empty",)),
    _linear(
        "vector-weight",
        (3, 5),
        (5,),
        tags=("edge", "quirk"),
        note="a 1-D weight drops the last axis",
    ),
    _linear("square", (4, 4), (4, 4), 4, note="a transposed weight has the right shape here"),
    _linear("long-sum", (2, 500), (3, 500), 3),
    _linear(
        "beyond-a-tile",
        (35, 67),
        (70, 67),
        70,
        note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
    ),
    _linear("zeros", (3, 5), (4, 5), 4, fill=constant(0.0)),
    nan_in_parameters("linear", (3, 5), (4, 5), 4, (1, 2)),
    _linear(
        "transposed-input",
        (3, 5),
        (4, 5),
        4,
        layouts=("transposed", "transposed"),
        tags=("strided",),
    ),
    _linear(
        "reversed-input", (3, 5), (4, 5), 4, layouts=("reversed", "strided"), tags=("strided",)
    ),
    _linear(
        "broadcast-readonly-input",
        (3, 5),
        (4, 5),
        4,
        layouts=("broadcast", "readonly"),
        tags=("strided",),
    ),
]
