"""Wrong answers to task 2.4."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def gradients(dy, x, w, rate):
    """Return the right answer."""
    dx, dw = np.zeros(len(x)), np.zeros(len(w))
    for k in range(len(w)):
        piece = slice(k * rate, k * rate + len(dy))
        dw[k] = dy @ x[piece]
        dx[piece] += w[k] * dy
    return dx, dw


@wrong(
    "2.4",
    loses=("rate 1", "rate 2", "four taps, rate 3"),
    hint="In dx a later tap overwrites an earlier one; several taps read one place, so add.",
)
def overwrites(dy, x, w, rate):
    dx = np.zeros(len(x))
    for k in range(len(w)):
        dx[k * rate : k * rate + len(dy)] = w[k] * dy
    return dx, gradients(dy, x, w, rate)[1]


@wrong(
    "2.4",
    loses=("rate 2", "four taps, rate 3", "one output"),
    hint="The rate is not used: tap k works on the piece of x that starts at r k.",
)
def ignores_rate(dy, x, w, rate):
    return gradients(dy, x, w, 1)


@wrong(
    "2.4",
    loses=("rate 1", "rate 2", "four taps, rate 3", "one output"),
    hint="In dx the kernel runs the wrong way: tap k of the forward pass writes back at r k.",
)
def flips_in_dx(dy, x, w, rate):
    return gradients(dy, x, w[::-1], rate)[0], gradients(dy, x, w, rate)[1]


@wrong(
    "2.4",
    loses=ALL,
    hint="dy is taken to be all ones; multiply by dy instead of summing.",
)
def assumes_dy_is_one(dy, x, w, rate):
    return gradients(np.ones(len(dy)), x, w, rate)


@wrong("2.4", loses=ALL, hint="The two gradients are returned in the other order: (dx, dw).")
def other_order(dy, x, w, rate):
    return gradients(dy, x, w, rate)[::-1]


@wrong(
    "2.4",
    loses=ALL,
    hint="dw is divided by the number of outputs; a gradient of a sum is a sum, not a mean.",
)
def averages_dw(dy, x, w, rate):
    dx, dw = gradients(dy, x, w, rate)
    return dx, dw / (len(dy) + 1)
