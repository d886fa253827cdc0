"""Rows for batch_norm."""

from __future__ import annotations

from typing import Any

from minideeplab.testing.case import (
    Array,
    Case,
    Fill,
    constant,
    normal,
    placed,
    positive,
    spread,
)

NAN = float("nan")


def _row(
    name: str,
    x: tuple[int, ...],
    *,
    running: bool = True,
    affine: tuple[bool, bool] = (True, True),
    fill: Fill = normal,
    layout: str = "contiguous",
    tags: tuple[str, ...] = (),
    note: str = "",
    **options: Any,
) -> Case:
    channels = (x[1],)
    arrays = {
        "input": Array(x, fill, layout),
        "running_mean": Array(channels) if running else None,
        "running_var": Array(channels, positive) if running else None,
        "weight": Array(channels) if affine[0] else None,
        "bias": Array(channels) if affine[1] else None,
    }
    differentiable = tuple(n for n in ("input", "weight", "bias") if arrays[n] is not None)
    updated = ("running_mean", "running_var") if running and options.get("training") else ()
    return Case("batch_norm", name, arrays, options, differentiable, updated, frozenset(tags), note)


def _train(name: str, x: tuple[int, ...], **options: Any) -> Case:
    return _row(f"training-{name}", x, training=True, **options)


def _eval(name: str, x: tuple[int, ...], **options: Any) -> Case:
    return _row(f"eval-{name}", x, training=False, **options)


X = (2, 3, 4, 5)
NEITHER = (False, False)

BATCH_NORM = [
    _row("default", X, note="training is False by default"),
    _eval("image", X),
    _eval("matrix", (6, 3)),
    _eval("three-axes", (2, 3, 7)),
    _eval("no-affine", X, affine=NEITHER),
    _eval("weight-only", X, affine=(True, False)),
    _eval("bias-only", X, affine=(False, True)),
    _eval("eps", X, eps=0.5),
    _eval("one-pixel", (1, 3, 1, 1), tags=("edge",)),
    _eval("empty-batch", (0, 3, 4, 5), tags=("empty",)),
    _eval(
        "nan",
        X,
        fill=placed({(0, 1, 2, 3): NAN}),
        tags=("nan",),
        note="outside training NaN stays where it is",
    ),
    _eval("strided-input", X, layout="strided", tags=("strided",)),
    _eval("reversed-input", X, layout="reversed", tags=("strided",)),
    _train("image", X, note="normalised by the biased variance, remembered is the unbiased one"),
    _train("matrix", (6, 3)),
    _train("three-axes", (2, 3, 7)),
    _train("no-affine", X, affine=NEITHER),
    _train("weight-only", X, affine=(True, False)),
    _train("bias-only", X, affine=(False, True)),
    _train("no-running", X, running=False),
    _train("nothing-but-input", X, running=False, affine=NEITHER),
    _train("momentum", X, momentum=0.3, note="the weight of the new batch, not of the old value"),
    _train("momentum-one", X, momentum=1.0, tags=("edge",)),
    _train("momentum-zero", X, momentum=0.0, tags=("edge",)),
    _train("eps", X, eps=0.5, note="inside the square root"),
    _train("two-values", (2, 3, 1, 1), tags=("edge",)),
    _train("one-image", (1, 3, 4, 5)),
    _train("one-channel", (3, 1, 4, 5)),
    _train("constant", X, fill=constant(2.0), tags=("tie",), note="the variance is zero"),
    _train(
        "far-from-zero",
        X,
        fill=spread(1.0, 300.0),
        tags=("edge",),
        note="E[x^2] - E[x]^2 loses every digit here in float32",
    ),
    _train("small-values", X, fill=spread(1e-3), note="eps matters"),
    _train("nan", X, fill=placed({(0, 1, 2, 3): NAN}), tags=("nan",)),
    _train(
        "beyond-a-tile",
        (2, 3, 33, 35),
        note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
    ),
    _train("strided-input", X, layout="strided", tags=("strided",)),
    _train("reversed-input", X, layout="reversed", tags=("strided",)),
    _train("channels-last-input", X, layout="channels_last", tags=("strided",)),
]
