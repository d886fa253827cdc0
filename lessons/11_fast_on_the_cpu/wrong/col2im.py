"""Wrong answers to task 11.3."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def write(columns, shape, kernel, rate, step=None, add=True, order="ckk"):
    """Write columns back, in any way."""
    (c, height, width), (kh, kw) = shape, kernel
    p, q = height - (kh - 1) * rate, width - (kw - 1) * rate
    if order == "ckk":
        pieces = columns.reshape(c, kh, kw, p, q)
    else:
        pieces = columns.reshape(kh, kw, c, p, q).transpose(2, 0, 1, 3, 4)
    step = rate if step is None else step
    x = np.zeros(tuple(shape))
    for i, j in np.ndindex(kh, kw):
        places = slice(None), slice(i * step, i * step + p), slice(j * step, j * step + q)
        x[places] = pieces[:, i, j] + (x[places] if add else 0)
    return x


@wrong(
    "11.3", loses=ALL, hint="A later tap overwrites an earlier one; one pixel is read by several."
)
def overwrites(columns, shape, kernel, rate):
    return write(columns, shape, kernel, rate, add=False)


@wrong(
    "11.3",
    loses=("rate 2",),
    hint="The rate is not used: tap (i, j) writes r i down and r j across.",
)
def ignores_rate(columns, shape, kernel, rate):
    return write(columns, shape, kernel, rate, step=1)


@wrong(
    "11.3",
    loses=("three channels", "rate 2"),
    hint="Rows of the columns are in the order of w: the channel first, then the tap.",
)
def channel_last(columns, shape, kernel, rate):
    return write(columns, shape, kernel, rate, order="kkc")


@wrong(
    "11.3",
    loses=ALL,
    hint="This is the mean over the taps that read a pixel; a gradient is their sum.",
)
def averages(columns, shape, kernel, rate):
    count = write(np.ones_like(columns), shape, kernel, rate)
    return write(columns, shape, kernel, rate) / np.maximum(count, 1)
