"""Wrong answers to task 2.2."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


@wrong(
    "2.2",
    loses=("rate 2", "four taps, rate 3", "one output"),
    hint="The taps are neighbours whatever the rate is: tap k reads r k positions further on.",
)
def ignores_rate(x, w, rate):
    return np.convolve(x, w[::-1], "valid")


@wrong(
    "2.2",
    loses=("rate 1", "rate 2", "four taps, rate 3", "one output"),
    hint="The kernel is flipped: equation (1) reads forwards, unlike np.convolve.",
)
def flips(x, w, rate):
    length = len(x) - (len(w) - 1) * rate
    return sum(w[-1 - k] * x[k * rate : k * rate + length] for k in range(len(w)))


@wrong(
    "2.2",
    loses=("rate 2", "four taps, rate 3", "one tap", "one output"),
    hint="The rate is used as a stride: the output has gaps, not the filter.",
)
def strides(x, w, rate):
    return np.convolve(x, w[::-1], "valid")[::rate]


@wrong(
    "2.2",
    loses=ALL,
    hint="The last position is missing: with p = N - (K-1) r - 1 the last tap is still inside.",
)
def drops_the_last_position(x, w, rate):
    length = len(x) - (len(w) - 1) * rate - 1
    return sum(w[k] * x[k * rate : k * rate + length] for k in range(len(w)))


@wrong(
    "2.2",
    loses=("rate 1", "rate 2", "four taps, rate 3", "one output"),
    hint="Only the last tap's share is left; add the shares up instead of overwriting.",
)
def overwrites(x, w, rate):
    length = len(x) - (len(w) - 1) * rate
    return w[-1] * x[len(x) - length :]


@wrong(
    "2.2",
    loses=("rate 1", "rate 2", "four taps, rate 3", "one output"),
    hint="The output is as long as the input; without padding it is (K-1) r shorter.",
)
def pads(x, w, rate):
    before = (len(w) - 1) * rate // 2
    padded = np.pad(x, (before, (len(w) - 1) * rate - before))
    return sum(w[k] * padded[k * rate : k * rate + len(x)] for k in range(len(w)))
