"""softmax: scores to probabilities."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, of_wide, right
from minideeplab.testing.operation import Operation, Rng, Sides
from minideeplab.testing.operations.scores import (
    SMALL,
    along,
    jacobian,
    log_shares,
    score_terms,
    softmax_kwargs,
    softmax_shift,
    wrong_axes,
)
from minideeplab.testing.random_arrays import normals

softmax = right("softmax")


def softmax_sums_to_one(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Probabilities sum to one."""
    (x,) = normals(rng, dtype, (2, 5, 3, 4))
    total = f(x, dim=1).sum(axis=1)
    return total, np.ones_like(total), 5.0


def _share(exponentials: Any, guard: float = 0.0) -> Function:
    """Return ``exponentials(x, largest)`` divided by their sum, to which ``guard`` is added."""

    def change(x: np.ndarray, top: np.ndarray, total: Any) -> np.ndarray:
        e = exponentials(x, top)
        return e / (total(e) + x.dtype.type(guard))

    return along(change)


def _mean_subtracted(x: np.ndarray, top: np.ndarray, total: Any) -> np.ndarray:
    e = np.exp(x - total(x) / max(1, round(x.size / max(1, top.size))))
    return e / total(e)


FORWARD = {
    "naive": (_share(lambda x, top: np.exp(x)),
              "exp overflows: the maximum is not subtracted first"),
    "global-maximum": (_share(lambda x, top: np.exp(x - np.max(x, initial=-np.inf))),
                       "the maximum of the whole array is subtracted instead of each pixel's"),
    **wrong_axes("softmax"),
    "whole-array": (lambda x, dim: softmax(x.reshape(-1), 0).reshape(x.shape) if x.size else x,
                    "it normalises over the whole array"),
    "base-two": (_share(lambda x, top: np.exp2(x - top)), "powers of 2 instead of e"),
    "unnormalised": (along(lambda x, top, total: np.exp(x - top)),
                     "the exponentials are not divided by their sum"),
    "mean-subtracted": (along(_mean_subtracted),
                        "the mean instead of the maximum is subtracted first: exp overflows"),
    **{f"guarded-{small}": (_share(lambda x, top: np.exp(x - top), small),
                            f"{small} is added to the sum") for small in SMALL},
    "logarithm": (log_shares, "it returns the logarithm"),
    "logistic": (of_wide(lambda x: 1 / (1 + np.exp(-x))),
                 "the logistic function of each score by itself: the classes do not interact"),
    "magnitudes": (along(lambda x, top, total: np.abs(x) / total(np.abs(x))),
                   "magnitudes instead of exponentials are divided by their sum"),
    "twice": (lambda x, dim: softmax(softmax(x, dim), dim), "softmax is applied twice"),
    "one-hot": (along(lambda x, top, total: (x == top).astype(x.dtype)),
                "the largest score gets 1, all others 0"),
}  # fmt: skip

BACKWARD = {
    "diagonal-only": (jacobian(lambda dy, y, total: dy * y * (1 - y)),
                      "only the Jacobian's diagonal y (1 - y) is used: classes do not interact"),
    "mean-lost": (jacobian(lambda dy, y, total: dy * y),
                  "the weighted mean of the gradient is not subtracted"),
    "mean-of-all": (jacobian(lambda dy, y, total: y * (dy - (dy * y).sum())),
                    "the mean is taken over the whole array, not the classes"),
    "mean-for-sum": (
        jacobian(lambda dy, y, total: y * (dy - total(dy * y) / np.maximum(1, total(0 * y + 1)))),
        "the mean of dy y is subtracted instead of its sum"),
    "not-multiplied": (jacobian(lambda dy, y, total: dy - total(dy * y)),
                       "the difference is not multiplied by the probabilities"),
    "mean-added": (jacobian(lambda dy, y, total: y * (dy + total(dy * y))),
                   "the weighted mean of the gradient is added instead of subtracted"),
    "sum-unweighted": (jacobian(lambda dy, y, total: y * (dy - total(dy))),
                       "the plain sum of the gradient is subtracted, not its weighted mean"),
    "of-log-softmax": (jacobian(lambda dy, y, total: dy - y * total(dy)),
                       "it is the gradient of the log-softmax"),
}  # fmt: skip


OPERATION = Operation(
    **softmax_kwargs("softmax"),
    forward=FORWARD,
    backward=BACKWARD,
    generic="single-precision double-result strides-ignored input-overwritten empty-refused"
    " tile-only gradient-negated gradient-zero cotangent-ignored cotangent-overwritten"
    " buffer-reused",
    equations=(softmax_shift, softmax_sums_to_one),
    terms=partial(score_terms, bounded=True),
    onnx=("Softmax", lambda o: {"axis": o["dim"]}),
)
