"""Wrong answers to task 13.3."""

import numpy as np

from minideeplab.grading import wrong


@wrong(
    "13.3",
    loses=(
        "a column for all columns",
        "a bias of each channel",
        "axes of length 1 on both sides",
        "a square",
    ),
    hint="Axes in front are summed, but those of length 1 that were stretched are not.",
)
def only_new_axes(dy, shape):
    return dy.sum(axis=tuple(range(dy.ndim - len(shape))))


@wrong(
    "13.3",
    loses=("a row for all rows", "a number for all", "a bias of each channel",
           "axes of length 1 on both sides", "a square"),
    hint="Axes of length 1 are summed, but those that broadcasting put in front are still there.",
)  # fmt: skip
def only_stretched_axes(dy, shape):
    missing = dy.ndim - len(shape)
    padded = (0,) * missing + tuple(shape)
    axes = tuple(i for i, n in enumerate(padded) if n == 1 and dy.shape[i] != 1)
    return dy.sum(axis=axes, keepdims=True)


@wrong(
    "13.3",
    loses=("a column for all columns", "a bias of each channel", "axes of length 1 on both sides",
           "a square"),
    hint="Axes of length 1 are dropped; the gradient has the shape that the value has.",
)  # fmt: skip
def drops_axes(dy, shape):
    dy = dy.sum(axis=tuple(range(dy.ndim - len(shape))))
    return dy.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1))


@wrong(
    "13.3",
    loses=("a row for all rows", "a column for all columns", "a number for all",
           "a bias of each channel", "axes of length 1 on both sides", "a square"),
    hint="Shares of several uses are added, not averaged.",
)  # fmt: skip
def averages(dy, shape):
    dy = dy.mean(axis=tuple(range(dy.ndim - len(shape))))
    return dy.mean(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


@wrong(
    "13.3",
    loses=("a row for all rows", "a column for all columns", "nothing was repeated",
           "a bias of each channel", "axes of length 1 on both sides", "a square"),
    hint="One axis too many is summed: count those in front once more.",
)  # fmt: skip
def one_axis_too_many(dy, shape):
    dy = dy.sum(axis=tuple(range(min(dy.ndim, dy.ndim - len(shape) + 1))))
    return dy.sum(keepdims=True) if 1 in shape else dy


@wrong(
    "13.3",
    loses=("a row for all rows", "a bias of each channel", "a square"),
    hint="Shapes are aligned at their last axes: broadcasting puts new axes in front.",
)
def aligned_at_the_front(dy, shape):
    padded = tuple(shape) + (1,) * (dy.ndim - len(shape))
    axes = tuple(i for i, n in enumerate(padded) if n == 1)
    total = dy.sum(axis=axes, keepdims=True)
    return np.resize(total, shape)
