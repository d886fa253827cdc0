"""linear: a matrix times every vector of the last axis."""

from __future__ import annotations

from functools import partial

import numpy as np

from minideeplab.testing.case import constant
from minideeplab.testing.mutant import on
from minideeplab.testing.operation import Drawn, Operation, Rng
from minideeplab.testing.operations.products import (
    BIAS_IGNORED,
    DX_ZERO,
    bilinear_terms,
    products_per_output,
    with_bias,
    with_weight,
)
from minideeplab.testing.random_arrays import array, chance, whole
from minideeplab.testing.rows import Rows, nan_in_parameters, weighted

row = Rows(weighted, "linear")
X, W = (3, 5), (4, 5)

ROWS = [
    row("plain", X, W),
    row("bias", X, W, 4),
    row("unbatched", (5,), (4, 5), 4, tags="unbatched"),
    row("three-axes", (2, 3, 5), (4, 5), 4),
    row("four-axes", (2, 3, 2, 5), (4, 5)),
    row("one-output", (3, 5), (1, 5), 1),
    row("one-input", (3, 1), (4, 1), 4),
    row.empty((0, 5), (4, 5), 4),
    row.edge("vector-weight", (3, 5), (5,), tags="quirk", note="a 1-D weight drops the last axis"),
    row("square", (4, 4), (4, 4), 4, note="a transposed weight has the right shape here"),
    row("long-sum", (2, 500), (3, 500), 3),
    row.tile((35, 67), (70, 67), 70),
    row("zeros", X, W, 4, fill=constant(0.0)),
    nan_in_parameters("linear", X, W, 4, (1, 2)),
    row.laid("transposed", X, W, 4),
    row.laid("reversed strided", X, W, 4),
    row("broadcast-readonly-input", X, W, 4, layout="broadcast readonly", tags="strided"),
    row.large("sum", (2, 2000), (3, 2000)),
    row.large("outputs", (2, 3), (700, 3), 700),
    row.large("batch", (700, 3), (2, 3), 2),
]  # fmt: skip


def _draw(rng: Rng) -> Drawn:
    fan_in, fan_out = whole(rng, 1, 9), whole(rng, 1, 9)
    leading = tuple(whole(rng, 0 if chance(rng, 0.1) else 1, 4) for _ in range(whole(rng, 0, 3)))
    arrays = {"input": array(rng, (*leading, fan_in)), "weight": array(rng, (fan_out, fan_in))}
    if chance(rng, 0.5):
        arrays["bias"] = array(rng, (fan_out,))
    return Drawn(arrays, {})


def _row_mean(dy: np.ndarray) -> np.ndarray:
    rows = dy.reshape(-1, dy.shape[-1] if dy.ndim else 1)
    with np.errstate(invalid="ignore"):
        return rows.sum(0) / np.asarray(len(rows), rows.dtype)


weight, bias = partial(with_weight, "linear"), partial(with_bias, "linear")

FORWARD = {
    "weight-transposed": (weight(np.transpose), "the weight is transposed"),
    "square-transposed": (weight(lambda w: w.T if w.ndim == 2 and w.shape[0] == w.shape[1] else w),
                          "the weight is transposed, which only a square one shows"),
    "bias-ignored": (bias(lambda b: None), BIAS_IGNORED),
    "bias-subtracted": (bias(np.negative), "the bias is subtracted"),
}  # fmt: skip

BACKWARD = {
    "dw-transposed": (on(1, np.transpose), "dw is transposed"),
    "dx-zero": DX_ZERO,
    "db-mean": (lambda g, dy, a, o: {2: _row_mean(dy)},
                "db averages over the batch instead of summing"),
}  # fmt: skip

OPERATION = Operation(
    "linear",
    ROWS,
    sample=row("sample", (5, 6), (4, 6)),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="single-precision double-result strides-ignored empty-refused parameters-cleaned"
    " gradient-negated gradient-per-image cotangent-ignored",
    linear=True,
    products=products_per_output(-1),
    terms=bilinear_terms,
)
