"""Batch normalization (Ioffe and Szegedy 2015, algorithm 1).

    y = w (x - mean) / sqrt(var + eps) + b        per channel

with the mean and the (biased) variance over N, H, W of the batch when training, and of the running
statistics otherwise.

Shapes: x (N, C, H, W); mean, var, invstd, weight, bias (C,), the last two or None.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.ops.activation import relu, relu_backward


def batch_norm(
    x: np.ndarray,
    mean: np.ndarray | None,
    var: np.ndarray | None,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    training: bool,
    eps: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(y, mean, invstd), the statistics used. Training ignores the mean and var passed in."""
    if training:
        mean = _sum(x) / max(_count(x), 1)
        var = _sum(np.square(x - _planes(mean))) / max(_count(x), 1)
    invstd = (1 / np.sqrt(var + eps)).astype(x.dtype)
    mean = mean.astype(x.dtype)
    y = (x - _planes(mean)) * _planes(invstd)
    if weight is not None:
        y = y * _planes(weight)
    if bias is not None:
        y = y + _planes(bias)
    return y, mean, invstd


def batch_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    invstd: np.ndarray,
    weight: np.ndarray | None,
    training: bool,
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients (dx, dweight, dbias); None where not needed.

    When training, mean and variance depend on x too, which takes from dy its mean and its part
    along the normalized x: dx = w invstd (dy - mean(dy) - xhat mean(dy xhat)).
    """
    xhat = (x - _planes(mean)) * _planes(invstd)
    dweight, dbias = _sum(dy * xhat).astype(x.dtype), _sum(dy).astype(x.dtype)
    dx = None
    if needs[0]:
        count = max(_count(x), 1)
        dx = dy - _planes(dbias / count) - xhat * _planes(dweight / count) if training else dy
        dx = dx * _planes(invstd if weight is None else weight * invstd)
    return dx, dweight if needs[1] else None, dbias if needs[2] else None


def batch_norm_relu(*arguments: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(max(y, 0), mean, invstd) for the (y, mean, invstd) of `batch_norm` of the arguments."""
    y, mean, invstd = batch_norm(*arguments)
    return relu(y), mean, invstd


def batch_norm_relu_backward(
    dy: np.ndarray, y: np.ndarray, *arguments: Any
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients of `batch_norm_relu`, y its output; the arguments of `batch_norm_backward`."""
    return batch_norm_backward(relu_backward(dy, y), *arguments)


def _sum(x: np.ndarray) -> np.ndarray:
    """Sum over everything but the channel, (C,), in float64: float32 would lose digits."""
    return x.sum(axis=(0, 2, 3), dtype=np.float64)


def _count(x: np.ndarray) -> int:
    """Values of one channel: N*H*W."""
    return x.shape[0] * x.shape[2] * x.shape[3]


def _planes(channel: np.ndarray) -> np.ndarray:
    """(C,) values shaped to combine with (N, C, H, W)."""
    return channel[:, None, None]
