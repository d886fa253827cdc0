"""batch_norm: every channel to mean 0 and variance 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.case import Array, Case, Fill, constant, normal, placed, positive, spread
from minideeplab.testing.mutant import Function
from minideeplab.testing.operation import Drawn, Operation, Result, Rng, Sides, largest, usual_terms
from minideeplab.testing.operations.batch_norm_mutants import BACKWARD, FORWARD
from minideeplab.testing.random_arrays import array, chance, decimal, integers, normals, some, whole
from minideeplab.testing.rows import Rows, make_row

NAN = float("nan")


def _row(
    prefix: str,
    name: str,
    x: tuple[int, ...],
    *,
    running: bool = True,
    affine: tuple[bool, bool] = (True, True),
    fill: Fill = normal,
    layout: str = "contiguous",
    **details: Any,
) -> Case:
    channels = x[1:2] or (0,)
    arrays = {
        "input": Array(x, fill, layout),
        "running_mean": Array(channels) if running else None,
        "running_var": Array(channels, positive) if running else None,
        "weight": Array(channels) if affine[0] else None,
        "bias": Array(channels) if affine[1] else None,
    }
    differentiable = tuple(n for n in ("input", "weight", "bias") if arrays[n] is not None)
    updated = ("running_mean", "running_var") if running and details.get("training") else ()
    return make_row("batch_norm", prefix + name, arrays, differentiable, updated=updated, **details)


row = Rows(_row, "")
train = Rows(_row, "training-", training=True)
evaluated = Rows(_row, "eval-", training=False)
X = (2, 3, 4, 5)
NEITHER = (False, False)

ROWS = [
    row("default", X, note="training is False by default"),
    evaluated("image", X),
    evaluated("matrix", (6, 3)),
    evaluated("three-axes", (2, 3, 7)),
    evaluated("no-affine", X, affine=NEITHER),
    evaluated("weight-only", X, affine=(True, False)),
    evaluated("bias-only", X, affine=(False, True)),
    evaluated("eps", X, eps=0.5),
    evaluated.edge("one-pixel", (1, 3, 1, 1)),
    evaluated.empty((0, 3, 4, 5)),
    evaluated("no-axes", (0,), affine=NEITHER, tags="quirk empty",
              note="torch takes the shape (0,) as no images of no channels"),
    evaluated("nan", X, fill=placed({(0, 1, 2, 3): NAN}), tags="nan",
              note="outside training NaN stays where it is"),
    evaluated.laid("strided", X),
    evaluated.laid("reversed", X),
    train("image", X, note="normalised by the biased variance, remembered is the unbiased one"),
    train("matrix", (6, 3)),
    train("three-axes", (2, 3, 7)),
    train("no-affine", X, affine=NEITHER),
    train("weight-only", X, affine=(True, False)),
    train("bias-only", X, affine=(False, True)),
    train("no-running", X, running=False),
    train("nothing-but-input", X, running=False, affine=NEITHER),
    train("momentum", X, momentum=0.3, note="the weight of the new batch, not of the old value"),
    train.edge("momentum-one", X, momentum=1.0),
    train.edge("momentum-zero", X, momentum=0.0),
    train("eps", X, eps=0.5, note="inside the square root"),
    train.edge("two-values", (2, 3, 1, 1)),
    train("one-image", (1, 3, 4, 5)),
    train("one-channel", (3, 1, 4, 5)),
    train("constant", X, fill=constant(2.0), tags="tie", note="the variance is zero"),
    train.edge("far-from-zero", X, fill=spread(1.0, 300.0),
               note="E[x^2] - E[x]^2 loses every digit here in float32"),
    train("small-values", X, fill=spread(1e-3), note="eps matters"),
    train("no-axes", (0,), affine=NEITHER, tags="quirk empty"),
    train("nan", X, fill=placed({(0, 1, 2, 3): NAN}), tags="nan"),
    train.tile((2, 3, 33, 35)),
    train.laid("strided", X),
    train.laid("reversed", X),
    train.laid("channels_last", X),
    train.large("channels", (2, 300, 1, 2)),
    evaluated.large("channels", (2, 300, 1, 2)),
    train.large("batch", (300, 2)),
]  # fmt: skip


def norm_standardises(f: Function, rng: Rng, dtype: Any) -> Sides:
    """In training every channel has mean 0 and variance 1 - eps / (variance + eps)."""
    (x,) = normals(rng, dtype, (3, 4, 5, 6))
    y = f(x, None, None, training=True).astype(np.float64)
    moments = np.stack([y.mean((0, 2, 3)), y.var((0, 2, 3))])
    variance = x.astype(np.float64).var((0, 2, 3))
    return moments, np.stack([np.zeros(4), variance / (variance + 1e-5)]), 100.0


def norm_forgets_offset(f: Function, rng: Rng, dtype: Any) -> Sides:
    """In training a constant added to a channel changes nothing."""
    x = integers(rng, dtype, (3, 4, 5, 6))
    return f(x + 64, None, None, training=True), f(x, None, None, training=True), 64.0**2


def _draw(rng: Rng) -> Drawn:
    channels, running = whole(rng, 1, 4), chance(rng, 0.7)
    shape = (whole(rng, 2, 4), channels, *(whole(rng, 1, 5) for _ in range(whole(rng, 0, 2))))
    maybe = [array(rng, (channels,)) if chance(rng, 0.7) else None for _ in range(2)]
    arrays = {
        "input": array(rng, shape),
        "running_mean": Array((channels,)) if running else None,
        "running_var": Array((channels,), positive) if running else None,
        "weight": maybe[0],
        "bias": maybe[1],
    }
    options = some(rng, momentum=decimal(rng), eps=float(10 ** rng.uniform(-5, 0)))
    training = not running or chance(rng, 0.6)
    updated = ("running_mean", "running_var") if training and running else ()
    return Drawn(arrays, options | {"training": training}, updated)


def _terms(result: Result, length: float) -> float:
    """Return the size of the scaled input, and of the terms of its gradient, which cancel."""
    if result.what.startswith("running") or result.x.size == 0:
        return usual_terms(result, length)
    x, arguments, options = result.x.astype(np.float64), result.arguments, result.case.options
    variance = arguments["running_var"]
    if options.get("training"):
        variance = np.var(x, axis=tuple(i for i in range(x.ndim) if i != 1))
    gain = largest(1.0 / np.sqrt(variance + options.get("eps", 1e-5)))
    w = 1.0 if arguments["weight"] is None else largest(arguments["weight"])
    dy, size = largest(result.cotangent), largest(x)
    terms = {"output": w * gain * size, "grad_input": dy * w * gain * (1 + gain * size)}
    return terms.get(result.what, dy * (1 + gain * size))


OPERATION = Operation(
    "batch_norm",
    ROWS,
    sample=train("sample", (3, 4, 5, 6), running=False),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="double-result first-image strides-ignored input-overwritten gradient-negated"
    " gradient-zero cotangent-ignored cotangent-overwritten",
    equations=(norm_standardises, norm_forgets_offset),
    terms=_terms,
)
