"""Wrong answers to task 5.4."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def weights(size, positions):
    """Return the weights (out, size) of one axis."""
    return np.maximum(0, 1 - abs(positions[:, None] - np.arange(size)))


def back(dy, rows, columns):
    """Multiply with the transposes of two matrices (P, H) and (Q, W)."""
    return rows.T @ dy @ columns


@wrong(
    "5.4",
    loses=("neighbours are shared", "two channels", "a single row", "pixels that nobody reads"),
    hint="A pixel that several outputs read gets the share of one of them only; shares add up.",
)
def overwrites(dy, rows, columns, shape):
    channels, height, width = shape
    wide = np.zeros((channels, dy.shape[1], width))
    low, f = np.floor(columns).astype(int), columns % 1
    wide[:, :, low] += dy * (1 - f)
    wide[:, :, np.minimum(low + 1, width - 1)] += dy * f
    dx = np.zeros(shape)
    low, g = np.floor(rows).astype(int), (rows % 1)[:, None]
    dx[:, low] += wide * (1 - g)
    dx[:, np.minimum(low + 1, height - 1)] += wide * g
    return dx


@wrong(
    "5.4",
    loses=ALL,
    hint="The gradient goes to the nearest pixel alone; its neighbours were read, too.",
)
def gives_all_to_the_nearest(dy, rows, columns, shape):
    nearest = [np.eye(n)[np.floor(p + 0.5).astype(int)]
               for n, p in zip(shape[1:], (rows, columns), strict=True)]  # fmt: skip
    return back(dy, *nearest)


@wrong(
    "5.4",
    loses=ALL,
    hint="The result is divided by the weights that a pixel has given; the adjoint only adds.",
)
def takes_a_mean(dy, rows, columns, shape):
    matrices = [weights(n, p) for n, p in zip(shape[1:], (rows, columns), strict=True)]
    totals = [matrix.sum(axis=0) for matrix in matrices]
    scaled = [m / np.where(t > 0, t, 1) for m, t in zip(matrices, totals, strict=True)]
    return back(dy, *scaled)


@wrong(
    "5.4",
    loses=ALL,
    hint="This is a downsampling of dy. Going back is not the inverse but the transpose.",
)
def downsamples(dy, rows, columns, shape):
    matrices = []
    for n, out in zip(shape[1:], dy.shape[1:], strict=True):
        matrices.append(weights(out, np.arange(n) * (out - 1) / max(n - 1, 1)))
    return matrices[0] @ dy @ matrices[1].T


@wrong(
    "5.4",
    loses=ALL,
    hint="The two weights are swapped: the pixel that counted most gets most.",
)
def swaps_the_weights(dy, rows, columns, shape):
    matrices = []
    for n, p in zip(shape[1:], (rows, columns), strict=True):
        low = np.floor(p).astype(int)
        f = (p - low)[:, None]
        matrices.append(np.eye(n)[low] * f + np.eye(n)[np.minimum(low + 1, n - 1)] * (1 - f))
    return back(dy, *matrices)


@wrong(
    "5.4",
    loses=ALL,
    hint="Only the pixels on the left get anything; the share f of the ones on the right is lost.",
)
def forgets_the_right(dy, rows, columns, shape):
    low = np.floor(columns).astype(int)
    matrix = np.eye(shape[2])[low] * (1 - columns + low)[:, None]
    return back(dy, weights(shape[1], rows), matrix)
