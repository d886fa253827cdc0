"""Sums over all images and pixels of a channel, and batch normalisation. See ``ops/norm.py``.

One block per channel. Its threads sum the channel's elements with a stride of the block, then the
totals are reduced in shared memory by a binary tree:

    thread      0   1   2   3   4   5   6   7
    shared      a   b   c   d   e   f   g   h
    half = 4    a+e b+f c+g d+h                    a barrier before every step: it reads
    half = 2    +c+g +d+h                          what other threads wrote
    half = 1    sum

Sums are accumulated in float64, as in the definition, for precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda, float64

from minideeplab.backends.cuda.activation import relu, relu_backward
from minideeplab.backends.cuda.device import xp
from minideeplab.backends.cuda.launch import THREADS, Kernel, device_function, kernel


@device_function
def block_sum(total, sums):
    """Write the sum of the totals of a block's threads to sums[block]."""
    shared = cuda.shared.array(THREADS, float64)
    thread = cuda.threadIdx.x
    shared[thread] = total
    half = THREADS // 2
    while half > 0:
        cuda.syncthreads()
        if thread < half:
            shared[thread] += shared[thread + half]
        half //= 2
    if thread == 0:
        sums[cuda.blockIdx.x] = shared[0]


@kernel("norm.cu")
def channel_sums(x, sums, images, channels, pixels):
    """sums[c] = sum over n, l of x[n, c, l]."""
    t, c = cuda.threadIdx.x, cuda.blockIdx.x
    total = np.float64(0)
    for e in range(t, images * pixels, THREADS):
        total += x[(e // pixels * channels + c) * pixels + e % pixels]
    block_sum(total, sums)


@kernel("norm.cu")
def channel_squares(x, mean, sums, images, channels, pixels):
    """sums[c] = sum over n, l of (x[n, c, l] - mean[c])^2."""
    t, c = cuda.threadIdx.x, cuda.blockIdx.x
    total = np.float64(0)
    for e in range(t, images * pixels, THREADS):
        distance = np.float64(x[(e // pixels * channels + c) * pixels + e % pixels]) - mean[c]
        total += distance * distance
    block_sum(total, sums)


@kernel("norm.cu")
def channel_products(dy, x, mean, invstd, sums, images, channels, pixels):
    """sums[c] = sum over n, l of dy[n, c, l] (x[n, c, l] - mean[c]) invstd[c]."""
    t, c = cuda.threadIdx.x, cuda.blockIdx.x
    total = np.float64(0)
    for e in range(t, images * pixels, THREADS):
        k = (e // pixels * channels + c) * pixels + e % pixels
        total += dy[k] * ((x[k] - mean[c]) * invstd[c])
    block_sum(total, sums)


@kernel("norm.cu")
def normalize(x, mean, invstd, weight, bias, y, size, channels, pixels):
    """y = (x - mean) invstd weight + bias, one thread per element."""
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
    """The sums (C,) float64 of a kernel with one block per channel of x (N, C, H, W)."""
    n, channels, height, width = x.shape
    sums = xp.zeros(channels, np.float64)
    if x.size:
        args = (*arrays, sums, n, channels, height * width)
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
    pixels = x.shape[2] * x.shape[3]
    normalize(x.size, x, mean, invstd, weight, bias, y, x.size, channels, pixels)
    return y, mean, invstd


def batch_norm_relu(*arguments: Any) -> tuple[Any, Any, Any]:
    """`batch_norm` with ReLU applied to its output."""
    y, mean, invstd = batch_norm(*arguments)
    return relu(y), mean, invstd


def batch_norm_relu_backward(dy: Any, y: Any, *arguments: Any) -> tuple[Any, Any, Any]:
    """Gradients (dx, dweight, dbias) of `batch_norm_relu`, y its output; None where not needed."""
    return batch_norm_backward(relu_backward(dy, y), *arguments)


def batch_norm_backward(
    dy: Any, x: Any, mean: Any, invstd: Any, weight: Any,
    training: bool, needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[Any, Any, Any]:  # fmt: skip
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
    arrays = (dy, x, mean, invstd, weight, dbias / count, dweight / count)
    normalize_gradient(x.size, *arrays, dx, x.size, channels, pixels)
    return dx
