"""Rows for cross_entropy."""

from __future__ import annotations

from typing import Any

from minideeplab.testing.case import (
    Array,
    Case,
    Fill,
    distribution,
    labels,
    normal,
    placed,
    positive,
    spread,
)

INF = float("inf")


def _indices(
    name: str,
    x: tuple[int, ...],
    *,
    weight: bool = False,
    ignored: int | None = None,
    share: float = 0.3,
    fill: Fill = normal,
    layouts: tuple[str, str] = ("contiguous", "contiguous"),
    tags: tuple[str, ...] = (),
    note: str = "",
    **options: Any,
) -> Case:
    """Row with class-index targets; the class axis is 1, or 0 for one unbatched score vector."""
    axis = min(len(x) - 1, 1)
    target = Array(x[:axis] + x[axis + 1 :], labels(x[axis], ignored, share), layouts[1])
    arrays = {"input": Array(x, fill, layouts[0]), "target": target}
    if weight:
        arrays["weight"] = Array((x[axis],), positive)
    return Case("cross_entropy", name, arrays, options, ("input",), tags=frozenset(tags), note=note)


def _probabilities(
    name: str,
    x: tuple[int, ...],
    *,
    weight: bool = False,
    fill: Fill = normal,
    layouts: tuple[str, str] = ("contiguous", "contiguous"),
    tags: tuple[str, ...] = (),
    note: str = "",
    **options: Any,
) -> Case:
    """Row with class-probability targets."""
    axis = min(len(x) - 1, 1)
    arrays = {
        "input": Array(x, fill, layouts[0]),
        "target": Array(x, distribution(axis), layouts[1]),
    }
    if weight:
        arrays["weight"] = Array((x[axis],), positive)
    name = f"probabilities-{name}"
    return Case("cross_entropy", name, arrays, options, ("input",), tags=frozenset(tags), note=note)


X = (2, 4, 3, 5)

CROSS_ENTROPY = [
    _indices("image", X),
    _indices("matrix", (6, 4)),
    _indices("vector", (4,), tags=("unbatched",)),
    _indices("three-axes", (2, 4, 7)),
    _indices("five-axes", (2, 3, 2, 2, 3)),
    _indices("sum", X, reduction="sum"),
    _indices("none", X, reduction="none"),
    _indices("none-vector", (4,), reduction="none", tags=("unbatched",)),
    _indices("weight", X, weight=True, note="the mean divides by the sum of the targets' weights"),
    _indices("weight-sum", X, weight=True, reduction="sum"),
    _indices("weight-none", X, weight=True, reduction="none"),
    _indices("ignore-default", X, ignored=-100, note="the default ignore_index is -100"),
    _indices("ignore-255", X, ignored=255, ignore_index=255),
    _indices("ignore-a-class", X, ignore_index=2),
    _indices("ignore-sum", X, ignored=255, ignore_index=255, reduction="sum"),
    _indices("ignore-none", X, ignored=255, ignore_index=255, reduction="none"),
    _indices("ignore-weight", X, ignored=255, ignore_index=255, weight=True),
    _indices(
        "all-ignored",
        X,
        ignored=255,
        share=1.1,
        ignore_index=255,
        tags=("nan", "edge"),
        note="the mean over nothing is NaN, its gradient zero",
    ),
    _indices(
        "all-ignored-sum",
        X,
        ignored=255,
        share=1.1,
        ignore_index=255,
        reduction="sum",
        tags=("edge",),
    ),
    _indices(
        "all-ignored-none",
        X,
        ignored=255,
        share=1.1,
        ignore_index=255,
        reduction="none",
        tags=("edge",),
    ),
    _indices("smoothing", X, label_smoothing=0.1),
    _indices("smoothing-sum", (6, 4), label_smoothing=0.3, reduction="sum"),
    _indices("smoothing-none", X, label_smoothing=0.3, reduction="none"),
    _indices("smoothing-one", (6, 4), label_smoothing=1.0, tags=("edge",)),
    _indices("smoothing-weight", X, label_smoothing=0.2, weight=True),
    _indices("smoothing-weight-none", X, label_smoothing=0.2, weight=True, reduction="none"),
    _indices("smoothing-ignore", X, label_smoothing=0.2, ignored=255, ignore_index=255),
    _indices(
        "smoothing-weight-ignore", X, label_smoothing=0.2, ignored=-1, ignore_index=-1, weight=True
    ),
    _indices("large", X, fill=spread(1e3), tags=("edge",), note="log(softmax) would be -inf"),
    _indices("offset", X, fill=spread(1.0, -2e3), tags=("edge",)),
    _indices(
        "impossible-class", X, fill=placed({(0, 1): -INF}), ignored=1, ignore_index=1, tags=("nan",)
    ),
    _indices(
        "beyond-a-tile",
        (1, 21, 33, 35),
        ignored=255,
        ignore_index=255,
        note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
    ),
    _indices("one-class", (2, 1, 3, 5), tags=("edge",)),
    _indices("one-pixel", (2, 4, 1, 1)),
    _indices("empty-batch", (0, 4, 3, 5), tags=("empty", "nan")),
    _indices("empty-batch-sum", (0, 4, 3, 5), reduction="sum", tags=("empty",)),
    _indices("strided-input", X, layouts=("strided", "strided"), tags=("strided",)),
    _indices("reversed-input", X, layouts=("reversed", "reversed"), weight=True, tags=("strided",)),
    _indices("channels-last-input", X, layouts=("channels_last", "readonly"), tags=("strided",)),
    _probabilities("image", X),
    _probabilities("matrix", (6, 4)),
    _probabilities("vector", (4,), tags=("unbatched",)),
    _probabilities("sum", X, reduction="sum"),
    _probabilities("none", X, reduction="none"),
    _probabilities("weight", X, weight=True, note="the mean divides by the number of pixels"),
    _probabilities("weight-none", X, weight=True, reduction="none"),
    _probabilities("smoothing", X, label_smoothing=0.2),
    _probabilities("smoothing-weight", X, label_smoothing=0.2, weight=True),
    _probabilities("large", X, fill=spread(1e3), tags=("edge",)),
    _probabilities("strided-input", X, layouts=("strided", "reversed"), tags=("strided",)),
]
