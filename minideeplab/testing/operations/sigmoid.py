"""sigmoid: any number to (0, 1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.case import constant, normal, planted, spread
from minideeplab.testing.mutant import Function, of_wide, right
from minideeplab.testing.operation import Drawn, Operation, Result, Rng, Sides, rms
from minideeplab.testing.random_arrays import any_shape, array, chance, normals
from minideeplab.testing.rows import Rows, single

INF, NAN = float("inf"), float("nan")
X = (2, 3, 4, 5)
row, sigmoid = Rows(single, "sigmoid"), right("sigmoid")

ROWS = [
    row("plain", X),
    row("vector", (7,)),
    row("scalar", ()),
    row("zero", X, fill=constant(0.0), note="one half"),
    row.edge("large", X, fill=spread(1e3), note="exp must not overflow on either side"),
    row.edge("huge", X, fill=spread(1e30)),
    row.edge("far-below-zero", X, fill=spread(1.0, -50.0), note="small, not zero"),
    row("tiny", X, fill=spread(1e-30)),
    row("nan", X, fill=planted(NAN, share=0.4), tags="nan", note="NaN stays, its gradient too"),
    row("infinite", X, fill=planted(INF, -INF, share=0.4), tags="nan"),
    row.tile((1, 3, 35, 67)),
    row.empty((0, 3, 4, 5)),
    row.laid("strided", X),
    row.laid("reversed", X),
    row.laid("channels_last", X),
    row.laid("readonly", X),
    row.laid("broadcast", X),
]


def sigmoid_is_symmetric(f: Function, rng: Rng, dtype: Any) -> Sides:
    """sigmoid(x) + sigmoid(-x) = 1."""
    (x,) = normals(rng, dtype, (2, 3, 4, 5))
    total = f(x) + f(-x)
    return total, np.ones_like(total), 5.0


def _draw(rng: Rng) -> Drawn:
    fill = normal if chance(rng, 0.5) else spread(30.0)
    return Drawn({"input": array(rng, any_shape(rng), fill)}, {})


def _terms(result: Result, length: float) -> float:
    """Return the size of the terms: y (1 - y) cancels near 1, so dx is off by eps dy."""
    return rms(result.cotangent) if result.is_gradient else 0.0


def _naive(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(x) / (1 + np.exp(x))


FORWARD = {
    "naive": (_naive, "exp overflows: large inputs give NaN instead of 1"),
    "negated": (lambda x: sigmoid(-x), "the sign of the input is wrong"),
    "log-sigmoid": (of_wide(lambda x: -np.logaddexp(0, -x)), "it returns the logarithm"),
    "tanh": (of_wide(np.tanh), "it is the hyperbolic tangent"),
    "hard": (of_wide(lambda x: np.clip(x / 6 + 0.5, 0, 1)), "it is the hard sigmoid"),
    "silu": (lambda x: x * sigmoid(x), "it is the SiLU: the result is multiplied by the input"),
    "base-two": (of_wide(lambda x: 1 / (1 + np.exp2(-x))), "powers of 2 instead of e"),
    "step": (lambda x: (x > 0).astype(x.dtype), "it is the step function, 1 above zero"),
}

BACKWARD = {
    "of-input": (lambda g, dy, a, o: dy * a[0] * (1 - a[0]),
                 "the gradient is computed from the input, not from the output"),
    "half": (lambda g, dy, a, o: dy * sigmoid(a[0]), "dy y instead of dy y (1 - y)"),
    "of-tanh": (lambda g, dy, a, o: dy * (1 - sigmoid(a[0]) ** 2),
                "dy (1 - y^2), the gradient of the hyperbolic tangent"),
    "slope-lost": (lambda g, dy, a, o: dy.copy(), "the gradient passes unchanged"),
}  # fmt: skip


OPERATION = Operation(
    "sigmoid",
    ROWS,
    sample=row("sample", X),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="single-precision double-result strides-ignored input-overwritten last-column-lost"
    " tile-only gradient-negated gradient-zero cotangent-ignored cotangent-overwritten",
    equations=(sigmoid_is_symmetric,),
    terms=_terms,
    onnx=("Sigmoid", lambda o: {}),
)
