"""ReLU, sigmoid, dropout, softmax and log-softmax. Definitions: ``ops/activation.py``.

``relu`` and ``sigmoid``: one thread per element. ``softmax``: one thread per column of channels.
With the axis in the middle, (outer, channels, inner), neighbouring threads process neighbouring
columns:

    thread            0   1   2   3  ...          every step of the loop over channels reads
    channel 0         x   x   x   x  ...          one row: neighbouring addresses
    channel 1         x   x   x   x  ...
"""

from __future__ import annotations

import math
from math import prod
from typing import Any

import numpy as np
from numba import cuda

from minideeplab.backends.cuda.device import to_device, xp
from minideeplab.backends.cuda.launch import Kernel, device_function, kernel


@kernel("activation.cu")
def relu_forward(x, y, size):
    """y = max(x, 0), NaN stays."""
    zero = x.dtype.type(0)
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        value = x[i]
        y[i] = zero if value <= zero else value


@kernel("activation.cu")
def relu_gradient(dy, y, dx, size):
    """dx = dy where y is not at or below 0."""
    zero = dy.dtype.type(0)
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        dx[i] = zero if y[i] <= zero else dy[i]


@kernel("activation.cu")
def sigmoid_forward(x, y, size):
    """y = 1 / (1 + exp(-x)) without overflow."""
    one = x.dtype.type(1)
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        small = math.exp(-abs(x[i]))
        y[i] = (small if x[i] < 0 else one) / (one + small)


@kernel("activation.cu")
def sigmoid_gradient(dy, y, dx, size):
    """dx = dy y (1 - y)."""
    one = dy.dtype.type(1)
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        dx[i] = dy[i] * y[i] * (one - y[i])


@device_function
def largest(x, first, channels, inner):
    """The maximum of a column; NaN if it holds one."""
    best = x[first]
    for c in range(1, channels):
        value = x[first + c * inner]
        if value > best or value != value:
            best = value
    return best


@device_function
def log_sum_exp(x, first, channels, inner, best):
    """log sum_c exp(x_c - best) of a column."""
    total = x.dtype.type(0)
    for c in range(channels):
        total += math.exp(x[first + c * inner] - best)
    return math.log(total)


@kernel("activation.cu")
def softmax_forward(x, y, columns, channels, inner):
    """y_c = exp(x_c - max) / sum of them."""
    for i in range(cuda.grid(1), columns, cuda.gridsize(1)):
        first = i // inner * channels * inner + i % inner
        best = largest(x, first, channels, inner)
        total = x.dtype.type(0)
        for c in range(channels):
            e = math.exp(x[first + c * inner] - best)
            y[first + c * inner] = e
            total += e
        for c in range(channels):
            y[first + c * inner] /= total


@kernel("activation.cu")
def softmax_gradient(dy, y, dx, columns, channels, inner):
    """dx_c = y_c (dy_c - sum_j y_j dy_j)."""
    for i in range(cuda.grid(1), columns, cuda.gridsize(1)):
        first = i // inner * channels * inner + i % inner
        total = dy.dtype.type(0)
        for c in range(channels):
            total += y[first + c * inner] * dy[first + c * inner]
        for c in range(channels):
            k = first + c * inner
            dx[k] = y[k] * (dy[k] - total)


@kernel("activation.cu")
def log_softmax_forward(x, y, columns, channels, inner):
    """y_c = (x_c - max) - log sum_j exp(x_j - max)."""
    for i in range(cuda.grid(1), columns, cuda.gridsize(1)):
        first = i // inner * channels * inner + i % inner
        best = largest(x, first, channels, inner)
        log_total = log_sum_exp(x, first, channels, inner, best)
        for c in range(channels):
            y[first + c * inner] = (x[first + c * inner] - best) - log_total


@kernel("activation.cu")
def log_softmax_gradient(dy, y, dx, columns, channels, inner):
    """dx_c = dy_c - exp(y_c) sum_j dy_j."""
    for i in range(cuda.grid(1), columns, cuda.gridsize(1)):
        first = i // inner * channels * inner + i % inner
        total = dy.dtype.type(0)
        for c in range(channels):
            total += dy[first + c * inner]
        for c in range(channels):
            k = first + c * inner
            dx[k] = dy[k] - math.exp(y[k]) * total


def relu(x: Any) -> Any:
    """max(x, 0), any shape."""
    y = xp.empty(x.shape, x.dtype)
    relu_forward(x.size, x, y, x.size)
    return y


def relu_backward(dy: Any, y: Any) -> Any:
    """dy where the output was above 0 or NaN."""
    dx = xp.empty(y.shape, dy.dtype)
    relu_gradient(y.size, dy, y, dx, y.size)
    return dx


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), any shape."""
    y = xp.empty(x.shape, x.dtype)
    sigmoid_forward(x.size, x, y, x.size)
    return y


def sigmoid_backward(dy: Any, y: Any) -> Any:
    """dy y (1 - y)."""
    dx = xp.empty(y.shape, dy.dtype)
    sigmoid_gradient(y.size, dy, y, dx, y.size)
    return dx


def dropout(x: Any, p: float, rng: np.random.Generator) -> tuple[Any, Any]:
    """(y, keep mask); the mask is drawn on the host, so it is the same for all backends."""
    keep = to_device(rng.random(x.shape, np.float32) >= p)
    return x * keep * x.dtype.type(1 / (1 - p) if p < 1 else 0), keep


def _along(kernel: Kernel, axis: int, *arrays: Any) -> Any:
    """The result of a kernel with one thread per column of an axis."""
    shape = arrays[0].shape
    result = xp.empty(shape, arrays[0].dtype)
    channels, inner = shape[axis], prod(shape[axis + 1 :])
    columns = prod(shape[:axis]) * inner if channels else 0
    kernel(columns, *arrays, result, columns, channels, inner)
    return result


def softmax(x: Any, axis: int) -> Any:
    """exp(x_i) / sum_j exp(x_j) along the axis."""
    return _along(softmax_forward, axis, x)


def softmax_backward(dy: Any, y: Any, axis: int) -> Any:
    """The gradient of `softmax` from its output y."""
    return _along(softmax_gradient, axis, dy, y)


def log_softmax(x: Any, axis: int) -> Any:
    """The logarithm of `softmax`."""
    return _along(log_softmax_forward, axis, x)


def log_softmax_backward(dy: Any, y: Any, axis: int) -> Any:
    """The gradient of `log_softmax` from its output y."""
    return _along(log_softmax_gradient, axis, dy, y)
