"""Wrong answers to task 11.2."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def windows(x, kernel, rate, step=None):
    """Return the pieces under the taps, (C, kh, kw, P, Q)."""
    (c, height, width), (kh, kw) = x.shape, kernel
    p, q = height - (kh - 1) * rate, width - (kw - 1) * rate
    step = rate if step is None else step
    pieces = np.empty((c, kh, kw, p, q))
    for i, j in np.ndindex(kh, kw):
        pieces[:, i, j] = x[:, i * step : i * step + p, j * step : j * step + q]
    return pieces


@wrong(
    "11.2",
    loses=("rate 2", "one output"),
    hint="The taps are neighbours whatever the rate is: tap (i, j) reads r i down and r j across.",
)
def taps_are_neighbours(x, kernel, rate):
    pieces = windows(x, kernel, rate, step=1)
    return pieces.reshape(-1, pieces.shape[3] * pieces.shape[4])


@wrong(
    "11.2",
    loses=("three channels", "rate 2", "one output"),
    hint="Rows are in the order of w.reshape(F, -1): the channel first, then the tap.",
)
def channel_last(x, kernel, rate):
    pieces = windows(x, kernel, rate).transpose(1, 2, 0, 3, 4)
    return pieces.reshape(-1, pieces.shape[3] * pieces.shape[4])


@wrong(
    "11.2",
    loses=("one channel", "a flat kernel", "three channels", "rate 2", "one output"),
    hint="Taps go down the columns of the kernel first; w is read row by row.",
)
def taps_by_columns(x, kernel, rate):
    pieces = windows(x, kernel, rate).transpose(0, 2, 1, 3, 4)
    return pieces.reshape(-1, pieces.shape[3] * pieces.shape[4])


@wrong("11.2", loses=ALL, hint="One row for each output; asked for is one column for each.")
def transposed(x, kernel, rate):
    pieces = windows(x, kernel, rate)
    return pieces.reshape(-1, pieces.shape[3] * pieces.shape[4]).T


@wrong(
    "11.2",
    loses=("one channel", "a flat kernel", "three channels", "rate 2"),
    hint="Outputs are in the order of a picture: row by row, not column by column.",
)
def outputs_by_columns(x, kernel, rate):
    pieces = windows(x, kernel, rate).swapaxes(3, 4)
    return pieces.reshape(-1, pieces.shape[3] * pieces.shape[4])
