"""Wrong answers to task 11.1."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def pieces(x, kernel, rate):
    """Return the shifted pieces, (C, kh, kw, H', W')."""
    high, wide = (n - (k - 1) * rate for n, k in zip(x.shape[1:], kernel, strict=True))
    rows = [[x[:, i * rate :][:, :high, j * rate :][:, :, :wide] for j in range(kernel[1])]
            for i in range(kernel[0])]  # fmt: skip
    return np.array(rows).transpose(2, 0, 1, 3, 4)


@wrong(
    "11.1",
    loses=("two channels", "a flat kernel, rate 2"),
    hint="The rows are in another order: the channel is the slowest index, then i, then j.",
)
def taps_before_channels(x, kernel, rate):
    p = pieces(x, kernel, rate)
    return p.transpose(1, 2, 0, 3, 4).reshape(-1, p.shape[3] * p.shape[4])


@wrong(
    "11.1",
    loses=("rate 2", "a flat kernel, rate 2"),
    hint="The rate is not used: tap (i, j) reads r i down and r j across.",
)
def ignores_rate(x, kernel, rate):
    p = pieces(x, kernel, 1)
    return p.reshape(-1, p.shape[3] * p.shape[4])


@wrong("11.1", loses=ALL, hint="Rows and columns are swapped: a row for each tap.")
def a_row_for_each_position(x, kernel, rate):
    p = pieces(x, kernel, rate)
    return np.ascontiguousarray(p.reshape(-1, p.shape[3] * p.shape[4]).T)


@wrong(
    "11.1",
    loses=("one channel", "rate 2", "two channels", "a flat kernel, rate 2"),
    hint="i and j are swapped: i goes down and is the slower one.",
)
def swaps_taps(x, kernel, rate):
    p = pieces(x, kernel, rate)
    return p.transpose(0, 2, 1, 3, 4).reshape(-1, p.shape[3] * p.shape[4])
