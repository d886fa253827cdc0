"""Wrong ReLU, dropout, softmax and log-softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.mutants.base import backwards, forwards, right

softmax, log_softmax = right("softmax"), right("log_softmax")
QUIET = {"over": "ignore", "invalid": "ignore", "divide": "ignore", "under": "ignore"}


def _where_not_negative(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    return {0: np.where(arrays[0] < 0, 0, dy)}


RELU = forwards(
    "relu",
    {
        "leaky": (
            lambda x: np.where(x > 0, x, 0.01 * x).astype(x.dtype),
            "negative values leak through",
        ),
        "absolute": (np.abs, "negative values lose their sign instead of becoming zero"),
        "capped": (lambda x: np.minimum(np.maximum(x, 0), 1), "values are cut off above"),
        "nan-lost": (lambda x: np.where(x > 0, x, 0).astype(x.dtype), "NaN becomes zero"),
        "identity": (lambda x: x.copy(), "nothing happens"),
    },
) + backwards(
    "relu",
    {
        "one-at-zero": (_where_not_negative, "the gradient passes at zero"),
        "half-at-zero": (
            lambda g, dy, a, o: {0: np.where(a[0] == 0, dy / 2, g[0])},
            "half of the gradient passes at zero, as through maximum(x, 0)",
        ),
        "mask-of-cotangent": (
            lambda g, dy, a, o: {0: np.where(dy > 0, dy, 0)},
            "the gradient's own sign is used instead of the input's",
        ),
        "mask-lost": (lambda g, dy, a, o: {0: dy.copy()}, "the gradient passes everywhere"),
    },
)


def _mask(x: np.ndarray, p: float) -> np.ndarray:
    return np.random.default_rng(x.size).random(x.shape) >= p


def _unscaled(x: np.ndarray, p: float = 0.5, training: bool = True) -> np.ndarray:
    return x * _mask(x, p) if training else x.copy()


def _scaled_in_eval(x: np.ndarray, p: float = 0.5, training: bool = True) -> np.ndarray:
    return (x * _mask(x, p) if training else x * (1 - p)).astype(x.dtype)


def _keep_probability(x: np.ndarray, p: float = 0.5, training: bool = True) -> np.ndarray:
    kept = max(p, 1e-6)
    return (x * _mask(x, 1 - p) / kept).astype(x.dtype) if training else x.copy()


def _always_on(x: np.ndarray, p: float = 0.5, training: bool = True) -> np.ndarray:
    return (x * _mask(x, p) / max(1 - p, 1e-6)).astype(x.dtype)


def _no_division_by_zero(x: np.ndarray, p: float = 0.5, training: bool = True) -> np.ndarray:
    with np.errstate(**QUIET):
        return (x * _mask(x, p) / (1 - np.float64(p))).astype(x.dtype) if training else x.copy()


DROPOUT = forwards(
    "dropout",
    {
        "unscaled": (_unscaled, "kept values are not divided by 1 - p"),
        "scaled-in-eval": (_scaled_in_eval, "values are scaled outside training instead of inside"),
        "keep-probability": (_keep_probability, "p is taken for the probability to keep"),
        "always-on": (_always_on, "training=False is ignored"),
        "nan-at-one": (_no_division_by_zero, "p = 1 divides zero by zero"),
        "identity": (lambda x, p=0.5, training=True: x.copy(), "nothing is ever dropped"),
    },
)


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


def _guarded(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(**QUIET):
        e = np.exp(x - x.max(axis=dim, keepdims=True))
        return e / (e.sum(axis=dim, keepdims=True) + x.dtype.type(1e-5))


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
        "guarded": (_guarded, "a small number is added to the sum"),
        "logarithm": (lambda x, dim: log_softmax(x, dim), "it returns the logarithm"),
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
    },
)


def _log_of_softmax(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(**QUIET):
        return np.log(softmax(x, dim))


def _naive_log(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(**QUIET):
        return x - np.log(np.exp(x).sum(axis=dim, keepdims=True))


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
    },
) + backwards(
    "log_softmax",
    {
        "sum-lost": (_plain_difference, "softmax is not multiplied by the sum of the gradient"),
        "mean-for-sum": (_mean_for_sum, "the mean of the gradient is used instead of its sum"),
        "passes": (lambda g, dy, a, o: {0: dy.copy()}, "the gradient passes unchanged"),
    },
)
