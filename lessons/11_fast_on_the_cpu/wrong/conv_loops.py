"""Wrong answers to task 11.5."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def convolve(x, w, rate):
    """Convolve without margins."""
    high, wide = (n - (k - 1) * rate for n, k in zip(x.shape[1:], w.shape[2:], strict=True))
    y = np.zeros((len(w), high, wide))
    for i, j in np.ndindex(*w.shape[2:]):
        piece = x[:, i * rate : i * rate + high, j * rate : j * rate + wide]
        y += np.tensordot(w[:, :, i, j], piece, axes=1)
    return y


@wrong("11.5", loses=ALL, hint="The kernel is flipped: tap (i, j) reads r i down and r j across.")
def flips(x, w, rate):
    return convolve(x, w[:, :, ::-1, ::-1], rate)


@wrong(
    "11.5",
    loses=("rate 2", "a flat kernel, rate 2"),
    hint="The rate is not used for the taps' places, or not for the size of the result.",
)
def ignores_rate(x, w, rate):
    return convolve(x, w, 1)


@wrong(
    "11.5",
    loses=("channels", "a flat kernel, rate 2"),
    hint="Each channel overwrites the one before: add to y, which begins at 0.",
)
def overwrites_channels(x, w, rate):
    return convolve(x[-1:], w[:, -1:], rate)


@wrong(
    "11.5",
    loses=ALL,
    hint="The last row is missing: count the positions, one more than the difference.",
)
def one_row_short(x, w, rate):
    return convolve(x[:, :-1], w, rate)
