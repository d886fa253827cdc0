"""Batch normalization. Definition: `minideeplab.ops.norm`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from minideeplab.arrays import like
from minideeplab.backends import current
from minideeplab.functional.arguments import (
    Array,
    flag,
    floats,
    number,
    per_channel,
    result,
    wrong_shape,
)


def batch_norm(
    input: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """(input - mean) / sqrt(var + eps) * weight + bias per channel; input (N, C, ...), others (C,).

    Training uses the mean and variance of the batch and moves the running statistics, where given,
    by `momentum` towards them, in place (the variance unbiased). Otherwise the running statistics
    are used. Raises ValueError or TypeError for wrong shapes, dtypes or options.
    """
    return _batch_norm(
        input, running_mean, running_var, weight, bias, training, momentum, eps, rectify=False
    )


def batch_norm_relu(*arguments: Any) -> Array:
    """relu(batch_norm(...)) of the same eight arguments, gradients and statistics included."""
    return _batch_norm(*arguments, rectify=True)


def _batch_norm(
    input: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    training: bool,
    momentum: float,
    eps: float,
    rectify: bool,
) -> Array:
    """batch_norm(...) of the other arguments, or its maximum with 0 if `rectify`."""
    x, mean, var, w, b = floats(
        input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    training, eps = flag("training", training), number("eps", eps)
    momentum = number("momentum", momentum)
    if x.ndim < 2 and x.shape != (0,):  # torch takes (0,) as no images of no channels
        raise wrong_shape("input", x, "(N, C, ...)")
    channels = x.shape[1] if x.ndim > 1 else 0
    named = {"running_mean": mean, "running_var": var, "weight": w, "bias": b}
    for name, array in named.items():
        per_channel(name, array, channels)
    pixels = prod(x.shape[2:])
    count = len(x) * pixels
    if training and count == 1:
        raise wrong_shape("input", x, "more than one value a channel when training")
    if not training and (mean is None or var is None):
        raise ValueError("running_mean, running_var: got None, expected arrays unless training")
    if channels == 0:
        return result(x.copy(), (input, weight, bias), lambda dy, _: (dy, w, b))
    planes = input if x.ndim == 4 else input.reshape((*x.shape[:2], 1, pixels))
    y, batch_mean, invstd = _normalize(planes, mean, var, weight, bias, training, eps, rectify)
    if training and count > 1:
        batch_var = np.maximum(invstd.astype(np.float64) ** -2.0 - eps, 0) * count / (count - 1)
        _move(mean, batch_mean, momentum)
        _move(var, batch_var, momentum)
    return y if x.ndim == 4 else y.reshape(x.shape)


def _normalize(
    planes: Array,
    mean: np.ndarray | None,
    var: np.ndarray | None,
    weight: Array | None,
    bias: Array | None,
    training: bool,
    eps: float,
    rectify: bool,
) -> tuple[Array, np.ndarray, np.ndarray]:
    """(y, mean, invstd) of planes (N, C, H, W), recorded."""
    x, w, b = floats(planes, weight=weight, bias=bias)
    backend = current()
    if rectify:
        forward, backward = backend.batch_norm_relu, backend.batch_norm_relu_backward
    else:
        forward, backward = backend.batch_norm, backend.batch_norm_backward
    y, mean, invstd = forward(x, mean, var, w, b, training, eps)
    saved = (x, mean, invstd, w, training)
    if rectify:
        saved = (y, *saved)  # only then, as it stays in memory until backward
    y = result(y, (planes, weight, bias), lambda dy, needs: backward(dy, *saved, needs))
    return y, mean, invstd


def _move(running: np.ndarray | None, batch: np.ndarray, momentum: float) -> None:
    """Move running statistics in place by `momentum` towards those of the batch."""
    if running is not None:
        running[...] = (1 - momentum) * running + momentum * like(running, batch)
