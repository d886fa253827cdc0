"""Softmax cross-entropy with log-softmax and loss in one kernel. Definition: ``ops/loss.py``.

One thread per pixel loops over the classes of its column of scores (N, C, L), two passes forward
and four backward. Neighbouring threads process neighbouring columns, so that every step reads
neighbouring addresses:

    thread     0   1   2   3  ...                 pass 1    the maximum
    class 0    x   x   x   x  ...                 pass 2    the sum of exponentials
    class 1    x   x   x   x  ...                 pass 3    backward: gradient of the label term
    ...                                           pass 4    backward: minus the softmax term

No array of the size of the scores is written in between.

A label that is not a class gives NaN: raising an error would need a synchronisation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda

from minideeplab.backends.cuda.activation import largest, log_sum_exp
from minideeplab.backends.cuda.device import xp
from minideeplab.backends.cuda.launch import kernel


@kernel("loss.cu")
def label_loss(x, target, weight, smoothing, loss, counted, pixels, channels, inner, ignored):
    """loss = -w[t] log p[t] with label smoothing, and the pixel's weight in the mean."""
    one, zero = x.dtype.type(1), x.dtype.type(0)
    for i in range(cuda.grid(1), pixels, cuda.gridsize(1)):
        first, label = i // inner * channels * inner + i % inner, target[i]
        if label == ignored:
            loss[i] = zero
            counted[i] = zero
        elif label < 0 or label >= channels:
            loss[i] = x.dtype.type(np.nan)
            counted[i] = x.dtype.type(np.nan)
        else:
            best = largest(x, first, channels, inner)
            log_total = log_sum_exp(x, first, channels, inner, best)
            chosen = (x[first + label * inner] - best) - log_total
            value = -(one - smoothing) * weight[label] * chosen
            if smoothing > zero:
                total = zero
                for c in range(channels):
                    total += weight[c] * ((x[first + c * inner] - best) - log_total)
                value -= smoothing / x.dtype.type(channels) * total
            loss[i] = value
            counted[i] = weight[label]


@kernel("loss.cu")
def label_loss_gradient(
    x, target, weight, smoothing, share, dx, pixels, channels, inner, ignored, per_pixel
):
    """dx = (p sum_c w_c t_c - w t) share; one share for all pixels, or one each if per_pixel."""
    one, zero = x.dtype.type(1), x.dtype.type(0)
    for i in range(cuda.grid(1), pixels, cuda.gridsize(1)):
        first, label = i // inner * channels * inner + i % inner, target[i]
        best = largest(x, first, channels, inner)
        log_total = log_sum_exp(x, first, channels, inner, best)
        even = smoothing / x.dtype.type(channels)
        scale = share[i * per_pixel]
        total = zero
        for c in range(channels):
            t = even + (one - smoothing) if c == label else even
            k = first + c * inner
            dx[k] = zero
            if label != ignored and t != zero:
                dx[k] = -scale * weight[c] * t
            total += dx[k]
        for c in range(channels):
            k = first + c * inner
            dx[k] -= math.exp((x[k] - best) - log_total) * total


@kernel("loss.cu")
def soft_loss(x, target, weight, smoothing, loss, pixels, channels, inner):
    """loss = -sum_c w_c t_c log p_c for given probabilities t."""
    one = x.dtype.type(1)
    for i in range(cuda.grid(1), pixels, cuda.gridsize(1)):
        first = i // inner * channels * inner + i % inner
        best = largest(x, first, channels, inner)
        log_total = log_sum_exp(x, first, channels, inner, best)
        total = x.dtype.type(0)
        for c in range(channels):
            k = first + c * inner
            t = (one - smoothing) * target[k] + smoothing / x.dtype.type(channels)
            total += weight[c] * t * ((x[k] - best) - log_total)
        loss[i] = -total


@kernel("loss.cu")
def soft_loss_gradient(x, target, weight, smoothing, share, dx, pixels, channels, inner, per_pixel):
    """As `label_loss_gradient`, for given probabilities t."""
    one, zero = x.dtype.type(1), x.dtype.type(0)
    for i in range(cuda.grid(1), pixels, cuda.gridsize(1)):
        first = i // inner * channels * inner + i % inner
        best = largest(x, first, channels, inner)
        log_total = log_sum_exp(x, first, channels, inner, best)
        scale = share[i * per_pixel]
        total = zero
        for c in range(channels):
            k = first + c * inner
            t = (one - smoothing) * target[k] + smoothing / x.dtype.type(channels)
            dx[k] = zero
            if t != zero:
                dx[k] = -scale * weight[c] * t
            total += dx[k]
        for c in range(channels):
            k = first + c * inner
            dx[k] -= math.exp((x[k] - best) - log_total) * total


def cross_entropy(
    scores: Any, target: Any, weight: Any, ignore_index: int, reduction: str, label_smoothing: float
) -> Any:
    """The loss of scores (N, C, L): (N, L) for reduction "none", else ()."""
    n, channels, inner = scores.shape
    loss = xp.empty((n, inner), scores.dtype)
    counted = xp.ones((n, inner), scores.dtype)
    inputs = (scores, target, _weights(scores, weight), scores.dtype.type(label_smoothing))
    sizes = (n * inner, channels, inner)
    if target.ndim == 2:
        label_loss(loss.size, *inputs, loss, counted, *sizes, ignore_index)
    else:
        soft_loss(loss.size, *inputs, loss, *sizes)
    if reduction == "mean":
        return loss.sum() / _no_zero(counted.sum())
    return loss.sum() if reduction == "sum" else loss


def cross_entropy_backward(
    dloss: Any, scores: Any, target: Any, weight: Any,
    ignore_index: int, reduction: str, label_smoothing: float,
) -> Any:  # fmt: skip
    """dscores (N, C, L) for dloss (N, L) or ()."""
    n, channels, inner = scores.shape
    weight = _weights(scores, weight)
    if reduction == "mean":
        dloss = dloss / _total_weight(target, weight, ignore_index, n * inner)
    dx = xp.empty(scores.shape, scores.dtype)
    share = xp.asarray(dloss, scores.dtype)
    inputs = (scores, target, weight, scores.dtype.type(label_smoothing), share)
    sizes, per_pixel = (n * inner, channels, inner), int(reduction == "none")
    if target.ndim == 2:
        label_loss_gradient(n * inner, *inputs, dx, *sizes, ignore_index, per_pixel)
    else:
        soft_loss_gradient(n * inner, *inputs, dx, *sizes, per_pixel)
    return dx


def _weights(scores: Any, weight: Any) -> Any:
    return xp.ones(scores.shape[1], scores.dtype) if weight is None else weight


def _total_weight(target: Any, weight: Any, ignore_index: int, pixels: int) -> Any:
    """The divisor of "mean", a scalar on the device; NaN if there are no pixels."""
    if target.ndim == 3:
        return weight.dtype.type(pixels if pixels else np.nan)
    counted = target != ignore_index
    known = xp.clip(target, 0, len(weight) - 1)
    return _no_zero(xp.where(counted, weight[known], 0).sum())


def _no_zero(total: Any) -> Any:
    """The total with 0 replaced by NaN: the mean of no pixels; ignored pixels keep gradient 0."""
    return xp.where(total == 0, xp.asarray(np.nan, total.dtype), total)
