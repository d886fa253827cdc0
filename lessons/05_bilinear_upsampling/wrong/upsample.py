"""Wrong answers to task 5.2."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def weights(size, positions):
    """Return the right weights (out, size) of one axis."""
    return np.maximum(0, 1 - abs(positions[:, None] - np.arange(size)))


@wrong("5.2", loses=ALL, hint="The nearest pixel is copied; mix it with its neighbour.")
def copies_the_nearest(x, rows, columns):
    near = [np.floor(p + 0.5).astype(int) for p in (rows, columns)]
    return x[:, near[0]][:, :, near[1]]


@wrong(
    "5.2",
    loses=ALL,
    hint="The two weights are swapped: close to a pixel, that pixel should count most.",
)
def swaps_the_weights(x, rows, columns):
    for axis, positions in ((1, rows), (2, columns)):
        low = np.floor(positions).astype(int)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        f = (positions - low).reshape(-1, *[1] * (2 - axis))
        x = np.take(x, low, axis) * f + np.take(x, high, axis) * (1 - f)
    return x


@wrong(
    "5.2",
    loses=("inside", "the last row and column", "two channels", "a single row",
           "backwards and repeated"),
    hint="Only the rows are interpolated; along the width the pixel on the left is copied.",
)  # fmt: skip
def only_along_the_height(x, rows, columns):
    return (weights(x.shape[1], rows) @ x)[:, :, np.floor(columns).astype(int)]


@wrong(
    "5.2",
    loses=("inside", "two channels", "backwards and repeated"),
    hint="The pixel diagonally below is missing: the four weights are products and add up to 1.",
)
def forgets_the_diagonal(x, rows, columns):
    (k, h), (g, f) = ([np.floor(p).astype(int) for p in (rows, columns)], (rows % 1, columns % 1))
    below, right = np.minimum(k + 1, x.shape[1] - 1), np.minimum(h + 1, x.shape[2] - 1)
    here, g = x[:, k][:, :, h], g[:, None]
    return here + g * (x[:, below][:, :, h] - here) + f * (x[:, k][:, :, right] - here)


@wrong(
    "5.2",
    loses=("the last row and column", "two channels"),
    hint="On the last row or column the pixel before it is read; there the last one counts alone.",
)
def stops_before_the_last(x, rows, columns):
    for axis, positions in ((1, rows), (2, columns)):
        last = x.shape[axis] - 1
        low = np.clip(np.floor(positions).astype(int), 0, max(last - 1, 0))
        f = (positions % 1).reshape(-1, *[1] * (2 - axis))
        high = np.minimum(low + 1, last)
        x = np.take(x, low, axis) * (1 - f) + np.take(x, high, axis) * f
    return x


@wrong(
    "5.2",
    loses=("the last row and column", "two channels", "a single row"),
    hint="On the last row or column the neighbour behind it is read, and there is none.",
)
def reads_behind_the_end(x, rows, columns):
    low = np.floor(rows).astype(int)
    x = x[:, low] * (1 - (rows - low)[:, None]) + x[:, low + 1] * (rows - low)[:, None]
    low = np.floor(columns).astype(int)
    return x[:, :, low] * (1 - columns + low) + x[:, :, low + 1] * (columns - low)
