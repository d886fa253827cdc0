"""Wrong ReLU and dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf

from minideeplab.testing.mutant import Function, backwards, forwards, right

QUIET = {"over": "ignore", "invalid": "ignore", "divide": "ignore", "under": "ignore"}


def _where_not_negative(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    return {0: np.where(arrays[0] < 0, 0, dy)}


def of_wide(function: Callable[[np.ndarray], np.ndarray]) -> Function:
    """Return a smooth function in the place of the ReLU, computed in float64."""

    def forward(x: np.ndarray) -> np.ndarray:
        with np.errstate(**QUIET):
            return np.asarray(function(x.astype(np.float64))).astype(x.dtype)

    return forward


def _normal_share(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + erf(x / np.sqrt(2)))


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
        "capped-at-6": (lambda x: np.clip(x, 0, 6), "it is ReLU6: values are cut off at 6"),
        "softplus": (of_wide(lambda x: np.logaddexp(0, x)), "it is the softplus log(1 + exp x)"),
        "elu": (
            of_wide(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
            "it is the ELU, exp(x) - 1 below zero",
        ),
        "gelu": (of_wide(lambda x: x * _normal_share(x)), "it is the GELU"),
        "gelu-tanh": (
            of_wide(lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
            "it is the GELU by the hyperbolic tangent",
        ),
        "silu": (of_wide(lambda x: x / (1 + np.exp(-x))), "it is the SiLU x / (1 + exp(-x))"),
        "hard-swish": (
            of_wide(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
            "it is the hard swish x min(max(x / 6 + 1/2, 0), 1)",
        ),
        "mish": (of_wide(lambda x: x * np.tanh(np.logaddexp(0, x))), "it is the Mish"),
        "logistic": (of_wide(lambda x: 1 / (1 + np.exp(-x))), "it is the logistic function"),
        "tanh": (of_wide(np.tanh), "it is the hyperbolic tangent"),
        "step": (of_wide(lambda x: x > 0), "it is the step function, 1 above zero"),
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
        "mask-inverted": (
            lambda g, dy, a, o: {0: np.where(a[0] > 0, 0, dy)},
            "the gradient passes where the input is negative",
        ),
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


def _channels_dropped(x: np.ndarray, p: float = 0.5, training: bool = True) -> np.ndarray:
    if not training or p in (0, 1) or x.ndim < 2:
        return right("dropout")(x, p=p, training=training)
    kept = np.random.default_rng(x.size).random(x.shape[:2] + (1,) * (x.ndim - 2)) >= p
    return (x * kept / (1 - p)).astype(x.dtype)


def _divided_by_p(x: np.ndarray, p: float = 0.5, training: bool = True) -> np.ndarray:
    if not training or p in (0, 1):
        return right("dropout")(x, p=p, training=training)
    return (x * _mask(x, p) / p).astype(x.dtype)


def _noise(x: np.ndarray, p: float = 0.5, training: bool = True) -> np.ndarray:
    if not training or p in (0, 1):
        return right("dropout")(x, p=p, training=training)
    factor = 1 + np.random.default_rng(x.size).standard_normal(x.shape) * np.sqrt(p / (1 - p))
    return (x * factor).astype(x.dtype)


DROPOUT = forwards(
    "dropout",
    {
        "unscaled": (_unscaled, "kept values are not divided by 1 - p"),
        "scaled-in-eval": (_scaled_in_eval, "values are scaled outside training instead of inside"),
        "keep-probability": (_keep_probability, "p is taken for the probability to keep"),
        "always-on": (_always_on, "training=False is ignored"),
        "nan-at-one": (_no_division_by_zero, "p = 1 divides zero by zero"),
        "identity": (lambda x, p=0.5, training=True: x.copy(), "nothing is ever dropped"),
        "divided-by-p": (
            _divided_by_p,
            "kept values are divided by p instead of 1 - p",
        ),
        "channels": (_channels_dropped, "whole channels are dropped instead of single entries"),
        "noise": (_noise, "entries are multiplied by noise instead of dropped"),
    },
)
