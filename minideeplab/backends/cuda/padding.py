"""Padding. Definitions: ``ops/padding.py``. Constant padding copies the input as one block.

The other modes copy along one axis after the other. The gradient gathers: one thread per input
pixel adds the dy of its copies, listed in compressed form by two tables made on the host:

    copies   2 1 0 1 2 3 2 1      reflect: the source pixel of each output pixel
    order    2 | 1 3 | 0 4 6 |..  output positions sorted by their source pixel
    bounds   0   1     3     ..   pixel i has order[bounds[i] : bounds[i + 1]]
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numba import cuda

from minideeplab.backends.cuda.device import to_device, xp
from minideeplab.backends.cuda.launch import kernel
from minideeplab.ops import padding as definition
from minideeplab.ops.window import Pair


@kernel("padding.cu")
def take(x, y, source, size, before, after, inner):
    """y[o, a, i] = x[o, source[a], i]: an axis of ``before`` elements becomes one of ``after``."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        i, a, o = e % inner, e // inner % after, e // inner // after
        y[e] = x[(o * before + source[a]) * inner + i]


@kernel("padding.cu")
def collect(dy, dx, order, bounds, size, before, after, inner):
    """dx[o, b, i] = the sum of dy[o, a, i] over the a that copied b."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        i, b, o = e % inner, e // inner % before, e // inner // before
        total = dy.dtype.type(0)
        for k in range(bounds[b], bounds[b + 1]):
            total += dy[(o * after + order[k]) * inner + i]
        dx[e] = total


def pad(x: Any, pad: Sequence[Pair], mode: str, value: float) -> Any:
    """x with pad[axis] = (before, after) pixels added along each axis."""
    if mode == "constant":
        shape = [size + sum(amounts) for size, amounts in zip(x.shape, pad, strict=True)]
        y = xp.full(shape, value, x.dtype)
        here, there = definition.overlap(x.shape, pad)
        y[there] = x[here]
        return y
    for axis, (before, after) in enumerate(pad):
        if before or after:
            source = definition.source(x.shape[axis], before, after, mode)
            shape = (*x.shape[:axis], len(source), *x.shape[axis + 1 :])
            y = xp.empty(shape, x.dtype)
            sizes = (y.size, x.shape[axis], len(source), prod(shape[axis + 1 :]))
            take(y.size, x, y, to_device(source), *sizes)
            x = y
    return x


def pad_backward(dy: Any, x_shape: Sequence[int], pad: Sequence[Pair], mode: str) -> Any:
    """dx of x's shape: the sum of dy over the copies of each pixel; constants have no gradient."""
    if mode == "constant":
        dx = xp.zeros(tuple(x_shape), dy.dtype)
        here, there = definition.overlap(x_shape, pad)
        dx[here] = dy[there]
        return dx
    for axis, (before, after) in enumerate(pad):
        if before or after:
            size = x_shape[axis]
            source = definition.source(size, before, after, mode)
            order = np.argsort(source, kind="stable")
            bounds = np.searchsorted(source[order], np.arange(size + 1))
            shape = (*dy.shape[:axis], size, *dy.shape[axis + 1 :])
            dx = xp.empty(shape, dy.dtype)
            sizes = (dx.size, size, len(source), prod(shape[axis + 1 :]))
            collect(dx.size, dy, dx, to_device(order), to_device(bounds), *sizes)
            dy = dx
    return dy
