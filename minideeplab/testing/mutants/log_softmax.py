"""Wrong log-softmax: overflow, the axis, and the Jacobian."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, backwards, forwards, right
from minideeplab.testing.mutants.activation import QUIET
from minideeplab.testing.mutants.softmax import SMALL, inner

softmax, log_softmax = right("softmax"), right("log_softmax")


def _log_of_softmax(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(**QUIET):
        return np.log(softmax(x, dim))


def _naive_log(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(**QUIET):
        return x - np.log(np.exp(x).sum(axis=dim, keepdims=True))


def _maximum_lost(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(**QUIET):
        largest = x.max(axis=dim, keepdims=True)
        return x - np.log(np.exp(x - largest).sum(axis=dim, keepdims=True))


def _maximum_outside(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(**QUIET):
        largest = x.max(axis=dim, keepdims=True)
        return x - largest - np.log(np.exp(x).sum(axis=dim, keepdims=True))


def _guarded_log(share: float) -> Function:
    def forward(x: np.ndarray, dim: int) -> np.ndarray:
        return np.log(softmax(x, dim) + x.dtype.type(share))

    return forward


def _plain_difference(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    return {0: dy - softmax(arrays[0], **options)}


def _mean_for_sum(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    axis = options["dim"]
    return {0: dy - softmax(arrays[0], **options) * dy.mean(axis=axis, keepdims=True)}


LOG_SOFTMAX = forwards(
    "log_softmax",
    {
        "log-of-softmax": (
            _log_of_softmax,
            "the logarithm of softmax: minus infinity where it underflows",
        ),
        "naive": (_naive_log, "exp overflows: the maximum is not subtracted first"),
        "last-axis": (lambda x, dim: log_softmax(x, -1), "dim is ignored: always the last axis"),
        "channels": (
            lambda x, dim: log_softmax(x, min(1, x.ndim - 1)),
            "dim is ignored: always axis 1",
        ),
        "no-logarithm": (lambda x, dim: softmax(x, dim), "the logarithm is not taken"),
        "base-two": (
            lambda x, dim: (log_softmax(x, dim) / np.log(2)).astype(x.dtype),
            "the logarithm to base 2",
        ),
        "sum-lost": (
            lambda x, dim: x - x.max(axis=dim, keepdims=True) if x.size else x,
            "the maximum is subtracted, the logarithm of the sum is not",
        ),
        "maximum-lost": (
            _maximum_lost,
            "the maximum is subtracted inside the exponentials only",
        ),
        "maximum-in-one-place": (
            _maximum_outside,
            "the maximum is subtracted outside the exponentials only",
        ),
        **{
            f"guarded-{share}": (
                _guarded_log(share),
                f"{share} is added before the logarithm is taken",
            )
            for share in SMALL
        },
    },
) + backwards(
    "log_softmax",
    {
        "sum-lost": (_plain_difference, "softmax is not multiplied by the sum of the gradient"),
        "mean-for-sum": (_mean_for_sum, "the mean of the gradient is used instead of its sum"),
        "passes": (lambda g, dy, a, o: {0: dy.copy()}, "the gradient passes unchanged"),
        "sum-added": (
            lambda g, dy, a, o: {0: dy + softmax(a[0], **o) * inner(dy, np.ones_like(dy), o)},
            "softmax times the sum of the gradient is added instead of subtracted",
        ),
        "softmax-lost": (
            lambda g, dy, a, o: {0: dy - inner(dy, np.ones_like(dy), o)},
            "the sum of the gradient is not multiplied by the softmax",
        ),
        "diagonal-only": (
            lambda g, dy, a, o: {0: dy * (1 - softmax(a[0], **o))},
            "only the Jacobian's diagonal 1 - y is used: classes do not interact",
        ),
        "of-softmax": (
            lambda g, dy, a, o: {
                0: softmax(a[0], **o) * (dy - inner(dy, softmax(a[0], **o), o)),
            },
            "it is the gradient of the softmax",
        ),
    },
)
