"""Padding by a constant, by reflection, by the border pixel or in a circle; negative padding crops.

Shapes: x of any shape, pad = one (before, after) pair for each axis of x, first axis first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minideeplab.ops.window import Pair


def pad(x: np.ndarray, pad: Sequence[Pair], mode: str, value: float) -> np.ndarray:
    """x with pad[axis] = (before, after) more pixels along each axis.

    mode "constant" fills with `value`, "reflect" mirrors at the border pixel (not repeating it),
    "replicate" repeats the border pixel, "circular" continues at the other end.
    """
    if mode == "constant":
        shape = [size + before + after for size, (before, after) in zip(x.shape, pad, strict=True)]
        y = np.full(shape, value, x.dtype)
        here, there = overlap(x.shape, pad)
        y[there] = x[here]
        return y
    for axis, (before, after) in enumerate(pad):
        if before or after:
            x = np.take(x, source(x.shape[axis], before, after, mode), axis)
    return x


def pad_backward(
    dy: np.ndarray, x_shape: Sequence[int], pad: Sequence[Pair], mode: str
) -> np.ndarray:
    """dx of x's shape: a pixel collects the dy of all its copies; a constant has no gradient."""
    if mode == "constant":
        dx = np.zeros(x_shape, dy.dtype)
        here, there = overlap(x_shape, pad)
        dx[here] = dy[there]
        return dx
    for axis, (before, after) in enumerate(pad):
        if before or after:
            dx = np.zeros((*dy.shape[:axis], x_shape[axis], *dy.shape[axis + 1 :]), dy.dtype)
            copies = source(x_shape[axis], before, after, mode)
            np.add.at(np.moveaxis(dx, axis, 0), copies, np.moveaxis(dy, axis, 0))
            dy = dx
    return dy


def source(size: int, before: int, after: int, mode: str) -> np.ndarray:
    """Which of `size` pixels each output pixel copies, int64 (before + size + after,)."""
    position = np.arange(-before, size + after)
    if mode == "circular":
        return position % size
    if mode == "reflect":
        position = np.abs(position)
        return size - 1 - np.abs(size - 1 - position)
    return np.clip(position, 0, size - 1)


def overlap(
    shape: Sequence[int], pad: Sequence[Pair]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where input and output overlap under constant padding: slices of x, slices of y."""
    axes = list(zip(shape, pad, strict=True))
    here = tuple(slice(max(0, -before), size - max(0, -after)) for size, (before, after) in axes)
    there = tuple(
        slice(max(0, before), max(0, before) + s.stop - s.start)
        for s, (before, _) in zip(here, pad, strict=True)
    )
    return here, there
