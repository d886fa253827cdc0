"""relu: negative values become zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import erf

from minideeplab.testing.case import constant, normal, planted, spread, ties
from minideeplab.testing.mutant import Function, of_wide
from minideeplab.testing.operation import Drawn, Operation, Rng, Sides
from minideeplab.testing.random_arrays import any_shape, array, chance, normals
from minideeplab.testing.rows import Rows, single

INF, NAN = float("inf"), float("nan")
X = (2, 3, 4, 5)
row = Rows(single, "relu")

ROWS = [
    row("plain", X),
    row("vector", (7,)),
    row("scalar", ()),
    row("zeros", X, fill=ties, tags="tie", note="the gradient at zero is zero"),
    row.edge("negative-zero", X, fill=constant(-0.0)),
    row("tiny", X, fill=spread(1e-30)),
    row("nan", X, fill=planted(NAN, share=0.4), gradient=False, tags="nan", note="NaN passes"),
    row("nan-gradient", X, fill=planted(NAN, share=0.4), tags="nan quirk",
        note="so does its gradient; in other frameworks it is zero"),
    row("infinite", X, fill=planted(INF, -INF, share=0.4), tags="nan"),
    row.tile((1, 3, 35, 67)),
    row.empty((0, 3, 4, 5)),
    row.laid("strided", X),
    row.laid("reversed", X),
    row.laid("channels_last", X),
    row.laid("readonly", X),
    row.laid("broadcast", X),
]  # fmt: skip


def relu_splits(f: Function, rng: Rng, dtype: Any) -> Sides:
    """relu(x) - relu(-x) = x."""
    (x,) = normals(rng, dtype, (2, 3, 4, 5))
    return f(x) - f(-x), x, 0.0


def relu_twice(f: Function, rng: Rng, dtype: Any) -> Sides:
    """relu(relu(x)) = relu(x)."""
    (x,) = normals(rng, dtype, (2, 3, 4, 5))
    return f(f(x)), f(x), 0.0


def _draw(rng: Rng) -> Drawn:
    return Drawn({"input": array(rng, any_shape(rng), normal if chance(rng, 0.5) else ties)}, {})


FORWARD = {
    "leaky": (lambda x: np.where(x > 0, x, 0.01 * x).astype(x.dtype),
              "negative values leak through"),
    "absolute": (np.abs, "negative values lose their sign instead of becoming zero"),
    "capped": (lambda x: np.minimum(np.maximum(x, 0), 1), "values are cut off above"),
    "nan-lost": (lambda x: np.where(x > 0, x, 0).astype(x.dtype), "NaN becomes zero"),
    "identity": (lambda x: x.copy(), "nothing happens"),
    "capped-at-6": (lambda x: np.clip(x, 0, 6), "it is ReLU6: values are cut off at 6"),
} | {
    name: (of_wide(function), text)
    for name, function, text in (
        ("softplus", lambda x: np.logaddexp(0, x), "it is the softplus log(1 + exp x)"),
        ("elu", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
         "it is the ELU, exp(x) - 1 below zero"),
        ("gelu", lambda x: x * 0.5 * (1 + erf(x / np.sqrt(2))), "it is the GELU"),
        ("gelu-tanh",
         lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
         "it is the GELU by the hyperbolic tangent"),
        ("silu", lambda x: x / (1 + np.exp(-x)), "it is the SiLU x / (1 + exp(-x))"),
        ("hard-swish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
         "it is the hard swish x min(max(x / 6 + 1/2, 0), 1)"),
        ("mish", lambda x: x * np.tanh(np.logaddexp(0, x)), "it is the Mish"),
        ("logistic", lambda x: 1 / (1 + np.exp(-x)), "it is the logistic function"),
        ("tanh", np.tanh, "it is the hyperbolic tangent"),
        ("step", lambda x: x > 0, "it is the step function, 1 above zero"),
    )
}  # fmt: skip

BACKWARD = {
    "one-at-zero": (lambda g, dy, a, o: np.where(a[0] < 0, 0, dy), "the gradient passes at zero"),
    "half-at-zero": (lambda g, dy, a, o: np.where(a[0] == 0, dy / 2, g[0]),
                     "half of the gradient passes at zero, as through maximum(x, 0)"),
    "mask-of-cotangent": (lambda g, dy, a, o: np.where(dy > 0, dy, 0),
                          "the gradient's own sign is used instead of the input's"),
    "mask-lost": (lambda g, dy, a, o: dy.copy(), "the gradient passes everywhere"),
    "mask-inverted": (lambda g, dy, a, o: np.where(a[0] > 0, 0, dy),
                      "the gradient passes where the input is negative"),
}  # fmt: skip


OPERATION = Operation(
    "relu",
    ROWS,
    sample=row("sample", X),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="double-result strides-ignored input-overwritten last-column-lost tile-only"
    " gradient-per-image cotangent-ignored cotangent-overwritten",
    equations=(relu_splits, relu_twice),
    exact=lambda case, what: True,
    onnx=("Relu", lambda o: {}),
)
