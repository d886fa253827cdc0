"""Sums over all images and pixels of a channel, and batch normalisation. See ``ops/norm.py``.

A block a channel. Its threads walk over the channel's elements side by side; then their totals are
added up in shared memory, half of the threads at a time:

    thread      0   1   2   3   4   5   6   7
    shared      a   b   c   d   e   f   g   h
    half = 4    a+e b+f c+g d+h                    a barrier before every step: what is
    half = 2    +c+g +d+h                          read there was written by others
    half = 1    sum

Sums are kept in float64, as in the definition: float32 would lose digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda, float64

from minideeplab.backends.cuda.activation import relu, relu_backward
from minideeplab.backends.cuda.device import flat, xp
from minideeplab.backends.cuda.launch import THREADS, Kernel, device_function, kernel


@device_function
def block_sum(shared, thread):
    """Add up shared[0:THREADS] of all threads of a block into shared[0], for thread 0 to read."""
    half = THREADS // 2
    while half > 0:
        cuda.syncthreads()
        if thread < half:
            shared[thread] += shared[thread + half]
        half //= 2


@kernel("norm.cu")
def channel_sums(x, sums, images, channels, pixels):
    """sums[c] = sum over n, l of x[n, c, l]."""
    shared = cuda.shared.array(THREADS, float64)
    t, c = cuda.threadIdx.x, cuda.blockIdx.x
    total = np.float64(0)
    for e in range(t, images * pixels, THREADS):
        total += x[(e // pixels * channels + c) * pixels + e % pixels]
    shared[t] = total
    block_sum(shared, t)
    if t == 0:
        sums[c] = shared[0]


@kernel("norm.cu")
def channel_squares(x, mean, sums, images, channels, pixels):
    """sums[c] = sum over n, l of (x[n, c, l] - mean[c])^2."""
    shared = cuda.shared.array(THREADS, float64)
    t, c = cuda.threadIdx.x, cuda.blockIdx.x
    total = np.float64(0)
    for e in range(t, images * pixels, THREADS):
        distance = np.float64(x[(e // pixels * channels + c) * pixels + e % pixels]) - mean[c]
        total += distance * distance
    shared[t] = total
    block_sum(shared, t)
    if t == 0:
        sums[c] = shared[0]


@kernel("norm.cu")
def channel_products(dy, x, mean, invstd, sums, images, channels, pixels):
    """sums[c] = sum over n, l of dy[n, c, l] (x[n, c, l] - mean[c]) invstd[c]."""
    shared = cuda.shared.array(THREADS, float64)
    t, c = cuda.threadIdx.x, cuda.blockIdx.x
    total = np.float64(0)
    for e in range(t, images * pixels, THREADS):
        k = (e // pixels * channels + c) * pixels + e % pixels
        total += dy[k] * ((x[k] - mean[c]) * invstd[c])
    shared[t] = total
    block_sum(shared, t)
    if t == 0:
        sums[c] = shared[0]


@kernel("norm.cu")
def normalize(x, mean, invstd, weight, bias, y, size, channels, pixels):
    """y = (x - mean) invstd weight + bias, an element a thread."""
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        c = i // pixels % channels
        y[i] = (x[i] - mean[c]) * invstd[c] * weight[c] + bias[c]


@kernel("norm.cu")
def normalize_gradient(dy, x, mean, invstd, weight, dbias, dweight, dx, size, channels, pixels):
    """dx = w invstd (dy - mean of dy - xhat mean of (dy xhat)); dbias, dweight hold the means."""
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        c = i // pixels % channels
        xhat = (x[i] - mean[c]) * invstd[c]
        dx[i] = (dy[i] - dbias[c] - xhat * dweight[c]) * (weight[c] * invstd[c])


def _over_channels(sum_kernel: Kernel, x: Any, *arrays: Any) -> Any:
    """Start a kernel with a block for each channel of x (N, C, H, W): sums (C,) float64."""
    n, channels, height, width = x.shape
    sums = xp.zeros(channels, np.float64)
    if x.size:
        args = (*map(flat, arrays), sums, n, channels, height * width)
        sum_kernel.launch((channels,), (THREADS,), *args)
    return sums


def sum_over_pixels(x: Any) -> Any:
    """Sum over everything but the channel, (N, C, H, W) -> (C,), in float64."""
    return _over_channels(channel_sums, x, x)


def batch_norm(
    x: Any, mean: Any, var: Any, weight: Any, bias: Any, training: bool, eps: float
) -> tuple[Any, Any, Any]:
    """(y, mean, invstd) of x (N, C, H, W). Training ignores the mean and var passed in."""
    channels, count = x.shape[1], max(x.size // max(x.shape[1], 1), 1)
    if training:
        mean = sum_over_pixels(x) / count
        var = _over_channels(channel_squares, x, x, mean) / count
    invstd = (1 / xp.sqrt(var + eps)).astype(x.dtype)
    mean = mean.astype(x.dtype)
    weight = xp.ones(channels, x.dtype) if weight is None else weight
    bias = xp.zeros(channels, x.dtype) if bias is None else bias
    y = xp.empty(x.shape, x.dtype)
    arrays = map(flat, (x, mean, invstd, weight, bias))
    pixels = x.shape[2] * x.shape[3]
    normalize(x.size, *arrays, y.reshape(-1), x.size, channels, pixels)
    return y, mean, invstd


def batch_norm_backward(
    dy: Any,
    x: Any,
    mean: Any,
    invstd: Any,
    weight: Any,
    training: bool,
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[Any, Any, Any]:
    """Gradients (dx, dweight, dbias); None where not needed."""
    dweight = _over_channels(channel_products, x, dy, x, mean, invstd).astype(x.dtype)
    dbias = sum_over_pixels(dy).astype(x.dtype)
    dx = None
    if needs[0]:
        dx = _input_gradient(dy, x, mean, invstd, weight, dbias, dweight, training)
    return dx, dweight if needs[1] else None, dbias if needs[2] else None


def _input_gradient(
    dy: Any, x: Any, mean: Any, invstd: Any, weight: Any, dbias: Any, dweight: Any, training: bool
) -> Any:
    channels, pixels = x.shape[1], x.shape[2] * x.shape[3]
    if not training:
        gain = invstd if weight is None else weight * invstd
        return dy * gain[:, None, None]
    count = x.dtype.type(max(x.size // max(channels, 1), 1))
    weight = xp.ones(channels, x.dtype) if weight is None else weight
    dx = xp.empty(x.shape, x.dtype)
    arrays = map(flat, (dy, x, mean, invstd, weight, dbias / count, dweight / count))
    normalize_gradient(x.size, *arrays, dx.reshape(-1), x.size, channels, pixels)
    return dx


def batch_norm_relu(*arguments: Any) -> tuple[Any, Any, Any]:
    """``(max(y, 0), mean, invstd)`` for the ``(y, mean, invstd)`` of `batch_norm`."""
    y, mean, invstd = batch_norm(*arguments)
    return relu(y), mean, invstd


def batch_norm_relu_backward(dy: Any, y: Any, *arguments: Any) -> tuple[Any, Any, Any]:
    """Gradients (dx, dweight, dbias) of `batch_norm_relu`, y its output; None where not needed."""
    return batch_norm_backward(relu_backward(dy, y), *arguments)
