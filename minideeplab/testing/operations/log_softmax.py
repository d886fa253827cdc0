"""log_softmax: the logarithm of softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.mutant import QUIET, Function, right
from minideeplab.testing.operation import Operation, Rng, Sides
from minideeplab.testing.operations.scores import (
    SMALL,
    along,
    jacobian,
    score_terms,
    softmax_kwargs,
    softmax_shift,
    wrong_axes,
)
from minideeplab.testing.random_arrays import normals

softmax, log_softmax = right("softmax"), right("log_softmax")


def log_softmax_sums_to_one(f: Function, rng: Rng, dtype: Any) -> Sides:
    """So do the exponentials of their logarithms."""
    (x,) = normals(rng, dtype, (2, 5, 3, 4))
    total = np.exp(f(x, dim=1)).sum(axis=1)
    return total, np.ones_like(total), 25.0


def _of_softmax(guard: float = 0.0) -> Function:
    """Return the logarithm of softmax, to which ``guard`` is added."""

    def forward(x: np.ndarray, dim: int) -> np.ndarray:
        with np.errstate(**QUIET):
            return np.log(softmax(x, dim) + x.dtype.type(guard))

    return forward


FORWARD = {
    "log-of-softmax": (_of_softmax(),
                       "the logarithm of softmax: minus infinity where it underflows"),
    "naive": (along(lambda x, top, total: x - np.log(total(np.exp(x)))),
              "exp overflows: the maximum is not subtracted first"),
    **wrong_axes("log_softmax"),
    "no-logarithm": (lambda x, dim: softmax(x, dim), "the logarithm is not taken"),
    "base-two": (lambda x, dim: (log_softmax(x, dim) / np.log(2)).astype(x.dtype),
                 "the logarithm to base 2"),
    "sum-lost": (along(lambda x, top, total: x - top),
                 "the maximum is subtracted, the logarithm of the sum is not"),
    "maximum-lost": (along(lambda x, top, total: x - np.log(total(np.exp(x - top)))),
                     "the maximum is subtracted inside the exponentials only"),
    "maximum-in-one-place": (along(lambda x, top, total: x - top - np.log(total(np.exp(x)))),
                             "the maximum is subtracted outside the exponentials only"),
    **{f"guarded-{small}": (_of_softmax(small), f"{small} is added before the logarithm is taken")
       for small in SMALL},
}  # fmt: skip

BACKWARD = {
    "sum-lost": (jacobian(lambda dy, y, total: dy - y),
                 "softmax is not multiplied by the sum of the gradient"),
    "mean-for-sum": (
        jacobian(lambda dy, y, total: dy - y * total(dy) / np.maximum(1, total(0 * y + 1))),
        "the mean of the gradient is used instead of its sum"),
    "passes": (lambda g, dy, a, o: dy.copy(), "the gradient passes unchanged"),
    "sum-added": (jacobian(lambda dy, y, total: dy + y * total(dy)),
                  "softmax times the sum of the gradient is added instead of subtracted"),
    "softmax-lost": (jacobian(lambda dy, y, total: dy - total(dy)),
                     "the sum of the gradient is not multiplied by the softmax"),
    "diagonal-only": (jacobian(lambda dy, y, total: dy * (1 - y)),
                      "only the Jacobian's diagonal 1 - y is used: classes do not interact"),
    "of-softmax": (jacobian(lambda dy, y, total: y * (dy - total(dy * y))),
                   "it is the gradient of the softmax"),
}  # fmt: skip


OPERATION = Operation(
    **softmax_kwargs("log_softmax"),
    forward=FORWARD,
    backward=BACKWARD,
    generic="single-precision input-overwritten cotangent-ignored",
    equations=(softmax_shift, log_softmax_sums_to_one),
    terms=score_terms,
    onnx=("LogSoftmax", lambda o: {"axis": o["dim"]}),
)
