"""Rectifier, sigmoid, dropout and softmax (fc6, fc7 and the scores)."""

from __future__ import annotations

import numpy as np


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0); NaN stays NaN. Any shape."""
    return np.maximum(x, 0)


def relu_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dy where the output was above 0 (or NaN), 0 elsewhere: the gradient at 0 is 0."""
    return np.where(y <= 0, 0, dy)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow; NaN stays NaN. Any shape."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def sigmoid_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dx = dy y (1 - y), y the output of `sigmoid`."""
    return dy * y * (1 - y)


def dropout(x: np.ndarray, p: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Zero each value with probability p, scale the others by 1/(1-p): (y, keep mask).

    "Inverted" dropout (Srivastava et al. 2014): the mean stays, so that nothing is left to do at
    test time.
    """
    keep = rng.random(x.shape, np.float32) >= p
    return x * keep * _keep_scale(p), keep


def dropout_backward(dy: np.ndarray, keep: np.ndarray, p: float) -> np.ndarray:
    """dx: dy through the values that were kept, with the same scale."""
    return dy * keep * _keep_scale(p)


def _keep_scale(p: float) -> float:
    return 1 / (1 - p) if p < 1 else 0.0


@np.errstate(invalid="ignore")  # inf - inf is NaN, and not worth a warning
def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """exp(x_i) / sum_j exp(x_j) along the axis; the maximum is subtracted so that exp stays finite.

    A slice that holds NaN or +inf, or only -inf, becomes NaN.
    """
    exp = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    return exp / exp.sum(axis, keepdims=True)


def softmax_backward(dy: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """dx_i = y_i (dy_i - sum_j y_j dy_j), y the output of `softmax`."""
    return y * (dy - (y * dy).sum(axis, keepdims=True))


@np.errstate(invalid="ignore", divide="ignore")
def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """x_i - log sum_j exp(x_j) along the axis, without leaving the range of floats."""
    shifted = x - x.max(axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def log_softmax_backward(dy: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """dx_i = dy_i - exp(y_i) sum_j dy_j, y the output of `log_softmax`."""
    return dy - np.exp(y) * dy.sum(axis, keepdims=True)
