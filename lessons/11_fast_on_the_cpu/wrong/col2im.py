"""Wrong answers to task 11.2."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def put(matrix, shape, kernel, rate, add=True, order=(0, 1, 2)):
    """Bring the rows back, in an order of (C, kh, kw)."""
    size = (shape[0], *kernel)
    high, wide = (n - (k - 1) * rate for n, k in zip(shape[1:], kernel, strict=True))
    p = matrix.reshape(*[size[o] for o in order], high, wide)
    p = p.transpose(*np.argsort(order), 3, 4)
    dx = np.zeros(shape)
    for i, j in np.ndindex(*kernel):
        part = dx[:, i * rate : i * rate + high, j * rate : j * rate + wide]
        part[...] = part + p[:, i, j] if add else p[:, i, j]
    return dx


@wrong(
    "11.2",
    loses=("one channel", "rate 2", "two channels", "a flat kernel, rate 2"),
    hint="A later tap overwrites an earlier one; what comes from several windows adds up.",
)
def overwrites(matrix, shape, kernel, rate):
    return put(matrix, shape, kernel, rate, add=False)


@wrong(
    "11.2",
    loses=("one channel", "rate 2", "two channels", "a flat kernel, rate 2"),
    hint="The sums are divided by the number of windows; that is an inverse, not the adjoint.",
)
def averages(matrix, shape, kernel, rate):
    return put(matrix, shape, kernel, rate) / np.maximum(
        1, put(np.ones(matrix.shape), shape, kernel, rate)
    )


@wrong(
    "11.2",
    loses=("two channels", "a flat kernel, rate 2"),
    hint="The rows are read in another order: the channel is the slowest index, then i, then j.",
)
def taps_before_channels(matrix, shape, kernel, rate):
    return put(matrix, shape, kernel, rate, order=(1, 2, 0))


@wrong("11.2", loses=ALL, hint="Every row is read backwards; is a kernel flipped? It is not here.")
def backwards(matrix, shape, kernel, rate):
    return put(matrix[:, ::-1], shape, kernel, rate)
