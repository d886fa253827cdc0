"""Wrong answers to task 1.1."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def slide(x, w, rows, columns):
    """Apply the kernel at some places."""
    y = np.zeros((rows, columns))
    for p, q in np.ndindex(rows, columns):
        y[p, q] = np.sum(w * x[p : p + w.shape[0], q : q + w.shape[1]])
    return y


@wrong("1.1", loses=ALL, hint="The kernel is flipped: equation (1) reads x[p + i, q + j].")
def flips(x, w):
    return slide(x, w[::-1, ::-1], x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1)


@wrong(
    "1.1",
    loses=ALL,
    hint="The last row and column are missing: H - k + 1 places fit, not H - k.",
)
def one_place_too_few(x, w):
    return slide(x, w, x.shape[0] - w.shape[0], x.shape[1] - w.shape[1])


@wrong(
    "1.1",
    loses=ALL,
    hint="The mean is taken where equation (1) adds up.",
)
def averages(x, w):
    rows, columns = x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1
    return slide(x, w / w.size, rows, columns)


@wrong(
    "1.1",
    loses=ALL,
    hint="The result is as large as the image; without padding the kernel fits at fewer places.",
)
def pads(x, w):
    kh, kw = w.shape
    margins = ((kh // 2, kh - 1 - kh // 2), (kw // 2, kw - 1 - kw // 2))
    return slide(np.pad(x, margins), w, *x.shape)
