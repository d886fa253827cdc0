"""ReLU and dropout in one pass over memory; sigmoid and softmax by definition, in strips."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minideeplab import ops
from minideeplab.backends.numba_cpu.layout import common_order
from minideeplab.backends.numba_cpu.runtime.parallel import (
    GRAIN,
    parallel_for,
    parallel_kernel,
    parallel_range,
    spans,
    thread_count,
)


def relu(x: np.ndarray) -> np.ndarray:
    """Return max(x, 0), any shape; NaN stays NaN."""
    (x,), restore = common_order(x)
    y = np.empty_like(x)
    parallel_range(_relu, x.size, x.reshape(-1), y.reshape(-1), x.dtype.type(0))
    return restore(y)


@parallel_kernel
def _relu(first, last, thread_id, x, y, zero):
    x, y = x[first:last], y[first:last]
    for i in range(x.size):
        y[i] = zero if x[i] <= zero else x[i]


def relu_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return dx: dy where the output is above zero (or NaN), else 0."""
    (y, dy), restore = common_order(y, dy)
    dx = np.empty_like(dy)
    flat = (a.reshape(-1) for a in (dy, y, dx))
    parallel_range(_relu_backward, y.size, *flat, dy.dtype.type(0))
    return restore(dx)


@parallel_kernel
def _relu_backward(first, last, thread_id, dy, y, dx, zero):
    dy, y, dx = dy[first:last], y[first:last], dx[first:last]
    for i in range(y.size):
        dx[i] = zero if y[i] <= zero else dy[i]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), any shape."""
    (x,), restore = common_order(x)
    y = np.empty_like(x)
    parts, source, target = spans(x.size, GRAIN), x.reshape(-1), y.reshape(-1)

    def run(index: int) -> None:
        part = slice(*parts[index])
        target[part] = ops.sigmoid(source[part])

    parallel_for(run, len(parts))
    return restore(y)


def sigmoid_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return dx = dy y (1 - y)."""
    (y, dy), restore = common_order(y, dy)
    dx = np.empty_like(dy)
    flat = (a.reshape(-1) for a in (dy, y, dx))
    parallel_range(_sigmoid_backward, y.size, *flat, dy.dtype.type(1))
    return restore(dx)


@parallel_kernel
def _sigmoid_backward(first, last, thread_id, dy, y, dx, one):
    dy, y, dx = dy[first:last], y[first:last], dx[first:last]
    for i in range(y.size):
        dx[i] = dy[i] * y[i] * (one - y[i])


def dropout(x: np.ndarray, p: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return y and the mask of kept elements: the definition's mask, in the memory order of x."""
    keep = _random_mask(x.shape, p, rng)
    (x, keep), restore = common_order(x, keep)
    return restore(_drop(x, keep, p)), restore(keep)


def _random_mask(shape: tuple[int, ...], p: float, rng: np.random.Generator) -> np.ndarray:
    """Return ``rng.random(shape, np.float32) >= p``; large masks are drawn on all threads.

    NumPy's default generator can advance to any position of its sequence. It draws two of these
    numbers in a step, so parts start at even positions.
    """
    size, source = math.prod(shape), rng.bit_generator
    can_advance = type(source) is np.random.PCG64 and not source.state["has_uint32"]
    if size < 2 * GRAIN or size % 2 or not can_advance:
        return rng.random(shape, np.float32) >= p
    keep, parts = np.empty(size, bool), spans(size, 2 * -(-size // (4 * thread_count())))

    def draw(index: int) -> None:
        start, stop = parts[index]
        own = np.random.PCG64(0)
        own.state = state
        own.advance(start // 2)
        numbers = np.random.Generator(own).random(stop - start, np.float32)
        np.greater_equal(numbers, p, out=keep[start:stop])

    with source.lock:
        state = source.state
        parallel_for(draw, len(parts))
        source.advance(size // 2)
    return keep.reshape(shape)


def dropout_backward(dy: np.ndarray, keep: np.ndarray, p: float) -> np.ndarray:
    """Return dx: dy where x was kept, with the same scale."""
    (dy, keep), restore = common_order(dy, keep)
    return restore(_drop(dy, keep, p))


def _drop(x: np.ndarray, keep: np.ndarray, p: float) -> np.ndarray:
    y, scale = np.empty_like(x), x.dtype.type(1 / (1 - p) if p < 1 else 0)
    parallel_range(_scaled, x.size, *(a.reshape(-1) for a in (x, keep, y)), scale)
    return y


@parallel_kernel
def _scaled(first, last, thread_id, x, keep, y, scale):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    x, keep, y = x[first:last], keep[first:last], y[first:last]
    for i in range(x.size):
        y[i] = x[i] * (one if keep[i] else zero) * scale


def _in_strips(definition: Callable, axis: int, *arrays: np.ndarray) -> np.ndarray:
    """Apply a definition that works along ``axis`` to strips of the longest other axis.

    NumPy's exponential is vectorised and Numba's is not, so the definition is also the fast form
    if a strip fits the cache and has ``axis`` first.
    """
    like = arrays[0]
    lengths = [0 if a == axis % like.ndim else length for a, length in enumerate(like.shape)]
    other = int(np.argmax(lengths))
    if like.size <= GRAIN or lengths[other] < 2:
        return definition(*arrays, axis)
    result = np.empty_like(like)
    strips = spans(lengths[other], max(1, GRAIN * lengths[other] // like.size))

    def run(index: int) -> None:
        part = (slice(None),) * other + (slice(*strips[index]),)
        first = (np.ascontiguousarray(np.moveaxis(a[part], axis, 0)) for a in arrays)
        np.moveaxis(result[part], axis, 0)[...] = definition(*first, 0)

    parallel_for(run, len(strips))
    return result


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """Return exp(x) / sum exp(x) along ``axis``, any shape."""
    return _in_strips(ops.softmax, axis, x)


def softmax_backward(dy: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """Return dx of ``softmax`` from its output y."""
    return _in_strips(ops.softmax_backward, axis, dy, y)


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """Return x - log sum exp(x) along ``axis``, any shape."""
    return _in_strips(ops.log_softmax, axis, x)


def log_softmax_backward(dy: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """Return dx of ``log_softmax`` from its output y."""
    return _in_strips(ops.log_softmax_backward, axis, dy, y)
