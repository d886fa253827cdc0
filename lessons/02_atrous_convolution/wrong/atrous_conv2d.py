"""Wrong answers to task 2.3."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def convolve(x, w, rate, margins, mode="constant"):
    """Convolve with any margins."""
    (_, height, width), (filters, _, kh, kw) = x.shape, w.shape
    padded = np.pad(x, ((0, 0), (margins[0],) * 2, (margins[1],) * 2), mode=mode)
    y = np.zeros((filters, height, width))
    for i, j in np.ndindex(kh, kw):
        piece = padded[:, i * rate : i * rate + height, j * rate : j * rate + width]
        y += np.tensordot(w[:, :, i, j], piece, axes=1)
    return y


def margins(w, rate):
    """Return the right margins."""
    return rate * (w.shape[2] - 1) // 2, rate * (w.shape[3] - 1) // 2


@wrong(
    "2.3",
    loses=("rate 2", "flat kernel, rate 2", "larger than the image"),
    hint="The rate is not used: both the taps' places and the margins grow with it.",
)
def ignores_rate(x, w, rate):
    return convolve(x, w, 1, margins(w, 1))


@wrong(
    "2.3",
    loses=ALL,
    hint="At the border the image is continued by its edge; the margins are zeros.",
)
def repeats_the_edge(x, w, rate):
    return convolve(x, w, rate, margins(w, rate), mode="edge")


@wrong("2.3", loses=ALL, hint="The kernel is flipped: tap (i, j) reads r i down and r j across.")
def flips(x, w, rate):
    return convolve(x, w[:, :, ::-1, ::-1], rate, margins(w, rate))


@wrong(
    "2.3",
    loses=ALL,
    hint="The kernel's two axes are swapped: i goes with the height, j with the width.",
)
def transposes_the_kernel(x, w, rate):
    turned = w.swapaxes(2, 3)
    return convolve(x, turned, rate, margins(turned, rate))


@wrong(
    "2.3",
    loses=ALL,
    hint="The margins are missing: without zeros around it the image shrinks.",
)
def no_margins(x, w, rate):
    height, width = (n - (k - 1) * rate for n, k in zip(x.shape[1:], w.shape[2:], strict=True))
    y = np.zeros((len(w), max(0, height), max(0, width)))
    for i, j in np.ndindex(*w.shape[2:]):
        piece = x[:, i * rate : i * rate + y.shape[1], j * rate : j * rate + y.shape[2]]
        y += np.tensordot(w[:, :, i, j], piece, axes=1)
    return y


@wrong(
    "2.3",
    loses=("channels and filters", "flat kernel, rate 2", "larger than the image"),
    hint="Only the first channel is used: sum over all of them.",
)
def first_channel_only(x, w, rate):
    return convolve(x[:1], w[:, :1], rate, margins(w, rate))


@wrong(
    "2.3",
    loses=("flat kernel, rate 2",),
    hint="The margin of the height is used for the width as well; kernels need not be square.",
)
def square_margins(x, w, rate):
    m = rate * (w.shape[3] - 1) // 2
    return convolve(x, w, rate, (m, m))


@wrong(
    "2.3",
    loses=ALL,
    hint="What leaves the image on one side comes in on the other (np.roll, or negative indices); "
    "around the image there are zeros.",
)
def wraps_around(x, w, rate):
    kh, kw = w.shape[2:]
    y = np.zeros((len(w), *x.shape[1:]))
    for i, j in np.ndindex(kh, kw):
        moved = np.roll(x, (rate * (kh // 2 - i), rate * (kw // 2 - j)), axis=(1, 2))
        y += np.tensordot(w[:, :, i, j], moved, axes=1)
    return y


@wrong(
    "2.3",
    loses=("rate 2", "flat kernel, rate 2", "larger than the image"),
    hint="The margins are those of rate 1; the taps reach further out, and the margins with them.",
)
def margins_without_rate(x, w, rate):
    m = margins(w, 1)
    padded = np.pad(x, ((0, 0), (m[0],) * 2, (m[1],) * 2))
    return no_margins(padded, w, rate)


@wrong(
    "2.3",
    loses=("rate 2", "flat kernel, rate 2", "larger than the image"),
    hint="The shifted pieces are smaller than the result: do the margins grow with the rate?",
)
def pieces_leave_the_margins(x, w, rate):
    (_, height, width), m = x.shape, margins(w, 1)
    padded = np.pad(x, ((0, 0), (m[0],) * 2, (m[1],) * 2))
    y = np.zeros((len(w), height, width))
    for i, j in np.ndindex(*w.shape[2:]):
        piece = padded[:, i * rate : i * rate + height, j * rate : j * rate + width]
        y += np.tensordot(w[:, :, i, j], piece, axes=1)
    return y
