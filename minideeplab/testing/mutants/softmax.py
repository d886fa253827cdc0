"""Wrong softmax: overflow, the axis, and the Jacobian."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, backwards, forwards, right
from minideeplab.testing.mutants.activation import QUIET, of_wide

SMALL = (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1.0)
"""Numbers that are seen added to a sum so that it is not zero."""

softmax, log_softmax = right("softmax"), right("log_softmax")


def _naive(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(**QUIET):
        e = np.exp(x)
        return e / e.sum(axis=dim, keepdims=True)


def _global_maximum(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(**QUIET):
        e = np.exp(x - np.max(x, initial=-np.inf))
        return e / e.sum(axis=dim, keepdims=True)


def _base_two(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(**QUIET):
        e = np.exp2(x - x.max(axis=dim, keepdims=True))
        return e / e.sum(axis=dim, keepdims=True)


def _unnormalised(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(**QUIET):
        return np.exp(x - x.max(axis=dim, keepdims=True))


def _guarded(share: float) -> Function:
    def forward(x: np.ndarray, dim: int) -> np.ndarray:
        with np.errstate(**QUIET):
            e = np.exp(x - x.max(axis=dim, keepdims=True))
            return e / (e.sum(axis=dim, keepdims=True) + x.dtype.type(share))

    return forward


def _mean_subtracted(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(**QUIET):
        e = np.exp(x - x.mean(axis=dim, keepdims=True))
        return e / e.sum(axis=dim, keepdims=True)


_logistic = of_wide(lambda x: 1 / (1 + np.exp(-x)))


def inner(dy: np.ndarray, y: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """Return the sum of dy y over the classes, with the axis kept."""
    return (dy * y).sum(axis=options["dim"], keepdims=True)


def _mean_of_products(dy: np.ndarray, y: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    return y * (dy - inner(dy, y, options) / max(1, y.shape[options["dim"]]))


def _diagonal_only(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    y = softmax(arrays[0], **options)
    return {0: dy * y * (1 - y)}


def _no_mean(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    return {0: dy * softmax(arrays[0], **options)}


def _summed_over_all(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    y = softmax(arrays[0], **options)
    return {0: y * (dy - (dy * y).sum())}


SOFTMAX = forwards(
    "softmax",
    {
        "naive": (_naive, "exp overflows: the maximum is not subtracted first"),
        "global-maximum": (
            _global_maximum,
            "the maximum of the whole array is subtracted instead of each pixel's",
        ),
        "last-axis": (lambda x, dim: softmax(x, -1), "dim is ignored: always the last axis"),
        "channels": (
            lambda x, dim: softmax(x, min(1, x.ndim - 1)),
            "dim is ignored: always axis 1",
        ),
        "whole-array": (
            lambda x, dim: softmax(x.reshape(-1), 0).reshape(x.shape) if x.size else x,
            "it normalises over the whole array",
        ),
        "base-two": (_base_two, "powers of 2 instead of e"),
        "unnormalised": (_unnormalised, "the exponentials are not divided by their sum"),
        "mean-subtracted": (
            _mean_subtracted,
            "the mean instead of the maximum is subtracted first: exp overflows",
        ),
        **{
            f"guarded-{share}": (_guarded(share), f"{share} is added to the sum") for share in SMALL
        },
        "logarithm": (lambda x, dim: log_softmax(x, dim), "it returns the logarithm"),
        "logistic": (
            lambda x, dim: _logistic(x),
            "the logistic function of each score by itself: the classes do not interact",
        ),
        "magnitudes": (
            lambda x, dim: np.abs(x) / np.abs(x).sum(axis=dim, keepdims=True),
            "magnitudes instead of exponentials are divided by their sum",
        ),
        "twice": (lambda x, dim: softmax(softmax(x, dim), dim), "softmax is applied twice"),
        "one-hot": (
            lambda x, dim: (x == x.max(axis=dim, keepdims=True)).astype(x.dtype),
            "the largest score gets 1, all others 0",
        ),
    },
) + backwards(
    "softmax",
    {
        "diagonal-only": (
            _diagonal_only,
            "only the Jacobian's diagonal y (1 - y) is used: classes do not interact",
        ),
        "mean-lost": (_no_mean, "the weighted mean of the gradient is not subtracted"),
        "mean-of-all": (
            _summed_over_all,
            "the mean is taken over the whole array, not the classes",
        ),
        "mean-for-sum": (
            lambda g, dy, a, o: {
                0: _mean_of_products(dy, softmax(a[0], **o), o),
            },
            "the mean of dy y is subtracted instead of its sum",
        ),
        "not-multiplied": (
            lambda g, dy, a, o: {0: dy - inner(dy, softmax(a[0], **o), o)},
            "the difference is not multiplied by the probabilities",
        ),
        "mean-added": (
            lambda g, dy, a, o: {
                0: softmax(a[0], **o) * (dy + inner(dy, softmax(a[0], **o), o)),
            },
            "the weighted mean of the gradient is added instead of subtracted",
        ),
        "sum-unweighted": (
            lambda g, dy, a, o: {0: softmax(a[0], **o) * (dy - inner(dy, np.ones_like(dy), o))},
            "the plain sum of the gradient is subtracted, not its weighted mean",
        ),
        "of-log-softmax": (
            lambda g, dy, a, o: {
                0: dy - softmax(a[0], **o) * inner(dy, np.ones_like(dy), o),
            },
            "it is the gradient of the log-softmax",
        ),
    },
)
