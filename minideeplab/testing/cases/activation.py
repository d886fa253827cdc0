"""Rows for relu, dropout, softmax and log_softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minideeplab.testing.case import (
    Case,
    constant,
    placed,
    planted,
    positive,
    single,
    spread,
    ties,
)

INF, NAN = float("inf"), float("nan")


def _relu(name: str, x: tuple[int, ...], **options: Any) -> Case:
    return single("relu", name, x, **options)


def _dropout(name: str, x: tuple[int, ...], **options: Any) -> Case:
    return single("dropout", name, x, **options)


X = (2, 3, 4, 5)

RELU = [
    _relu("plain", X),
    _relu("vector", (7,)),
    _relu("scalar", ()),
    _relu("zeros", X, fill=ties, tags=("tie",), note="the gradient at zero is zero"),
    _relu("negative-zero", X, fill=constant(-0.0), tags=("edge",)),
    _relu("tiny", X, fill=spread(1e-30)),
    _relu("nan", X, fill=planted(NAN, share=0.4), gradient=False, tags=("nan",), note="NaN passes"),
    _relu(
        "nan-gradient",
        X,
        fill=planted(NAN, share=0.4),
        tags=("nan", "quirk"),
        note="so does its gradient; in other frameworks it is zero",
    ),
    _relu("infinite", X, fill=planted(INF, -INF, share=0.4), tags=("nan",)),
    _relu(
        "beyond-a-tile",
        (1, 3, 35, 67),
        note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
    ),
    _relu("empty-batch", (0, 3, 4, 5), tags=("empty",)),
    _relu("strided-input", X, layout="strided", tags=("strided",)),
    _relu("reversed-input", X, layout="reversed", tags=("strided",)),
    _relu("channels-last-input", X, layout="channels_last", tags=("strided",)),
    _relu("readonly-input", X, layout="readonly", tags=("strided",)),
    _relu("broadcast-input", X, layout="broadcast", tags=("strided",)),
]

DROPOUT = [
    _dropout("eval", X, p=0.4, training=False, note="outside training nothing happens"),
    _dropout("keep-all", X, p=0.0, training=True),
    _dropout("drop-all", X, p=1.0, training=True, tags=("edge",), note="zeros, not NaN"),
    _dropout(
        "default",
        (20, 3, 10, 10),
        fill=positive,
        tags=("random",),
        note="p = 0.5 and training by default",
    ),
    _dropout("p-0.2", (20, 3, 10, 10), fill=positive, p=0.2, training=True, tags=("random",)),
    _dropout("p-0.9", (50, 100), fill=positive, p=0.9, training=True, tags=("random",)),
    _dropout("vector", (4000,), fill=positive, p=0.3, training=True, tags=("random",)),
    _dropout(
        "strided-input",
        (20, 3, 10, 10),
        fill=positive,
        p=0.3,
        training=True,
        layout="strided",
        tags=("random", "strided"),
    ),
    _dropout("eval-reversed-input", X, p=0.3, training=False, layout="reversed", tags=("strided",)),
    _dropout("empty-batch", (0, 3, 4, 5), p=0.3, training=True, tags=("empty",)),
]


Row = Callable[..., Case]


def _finite_rows(row: Row) -> list[Case]:
    return [
        row("channels", X, dim=1),
        row("batch", X, dim=0),
        row("height", X, dim=2),
        row("last", X, dim=-1),
        row("third-from-last", X, dim=-3),
        row("matrix", (4, 6), dim=1),
        row("columns", (4, 6), dim=0),
        row("vector", (6,), dim=0),
        row("three-axes", (2, 5, 3), dim=1),
        row("one-class", (2, 1, 4, 5), dim=1, tags=("edge",)),
        row("equal", X, dim=1, fill=constant(3.0), tags=("tie",)),
        row("ties", X, dim=1, fill=ties, tags=("tie",)),
        row(
            "large",
            X,
            dim=1,
            fill=spread(1e3),
            tags=("edge",),
            note="without subtracting the maximum, exp overflows",
        ),
        row("huge", X, dim=1, fill=spread(1e30), tags=("edge",)),
        row(
            "far-below-zero",
            X,
            dim=1,
            fill=spread(1.0, -2e3),
            tags=("edge",),
            note="without subtracting the maximum, every exp is zero",
        ),
        row("offset", X, dim=1, fill=spread(1.0, 500.0)),
    ]


def _special_rows(row: Row) -> list[Case]:
    return [
        row("minus-infinity", X, dim=1, fill=placed({(0, 1): -INF}), tags=("nan",)),
        row(
            "all-minus-infinity",
            X,
            dim=1,
            fill=placed({(0, ..., 1): -INF}),
            tags=("nan",),
            note="0/0 is NaN",
        ),
        row("infinity", X, dim=1, fill=placed({(0, 1, 2): INF}), tags=("nan", "quirk")),
        row(
            "nan",
            X,
            dim=1,
            fill=placed({(0, 1, 2, 3): NAN}),
            tags=("nan",),
            note="NaN spreads over its own pixel's classes and no further",
        ),
        row(
            "beyond-a-tile",
            (1, 21, 33, 35),
            dim=1,
            note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
        ),
        row("empty-batch", (0, 3, 4, 5), dim=1, tags=("empty",)),
        row("strided-input", X, dim=1, layout="strided", tags=("strided",)),
        row("reversed-input", X, dim=1, layout="reversed", tags=("strided",)),
        row("channels-last-input", X, dim=1, layout="channels_last", tags=("strided",)),
        row("broadcast-input", X, dim=0, layout="broadcast", tags=("strided",)),
    ]


def _softmax_rows(op: str) -> list[Case]:
    """Rows for ``op``, "softmax" or "log_softmax": they differ in nothing but the logarithm."""

    def row(name: str, x: tuple[int, ...], **options: Any) -> Case:
        return single(op, name, x, **options)

    return _finite_rows(row) + _special_rows(row)


SOFTMAX = _softmax_rows("softmax")
LOG_SOFTMAX = _softmax_rows("log_softmax")
