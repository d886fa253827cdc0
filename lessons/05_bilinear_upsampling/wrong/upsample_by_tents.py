"""Wrong answers to task 5.5."""

import numpy as np

from minideeplab.grading import wrong


def write(x, z, taps):
    """Add taps around each value's place, and cut the output to its size."""
    spread = np.zeros((len(x) - 1) * z + 1)
    spread[::z] = x
    before = len(taps) // 2
    return np.convolve(spread, taps)[before : before + len(spread)]


@wrong(
    "5.5",
    loses=("by 2", "by 3", "by 8", "by 1"),
    hint="The tent is too wide: it must be zero where the neighbouring inputs are.",
)
def too_wide(x, z):
    return write(x, z, 1 - abs(np.arange(-z, z + 1)) / (z + 1))


@wrong(
    "5.5",
    loses=("by 2", "by 3", "by 8", "a single value"),
    hint="The values are repeated; a tent falls off to both sides.",
)
def repeats(x, z):
    return np.repeat(x, z)[: (len(x) - 1) * z + 1] * (1 if len(x) > 1 else 1 / z)


@wrong(
    "5.5",
    loses=("by 2", "by 3", "by 8", "a single value"),
    hint="The tent is scaled to a sum of 1. Its top must be 1: there its input stands alone.",
)
def scaled_to_one(x, z):
    tent = 1 - abs(np.arange(1 - z, z)) / z
    return write(x, z, tent / tent.sum())


@wrong(
    "5.5",
    loses=("by 2", "by 3", "by 8", "a single value"),
    hint="The tents stick out at both ends; cut z - 1 values off on either side.",
)
def does_not_cut(x, z):
    spread = np.zeros((len(x) - 1) * z + 1)
    spread[::z] = x
    return np.convolve(spread, 1 - abs(np.arange(1 - z, z)) / z)


@wrong(
    "5.5",
    loses=("by 2", "by 3", "by 8", "a single value"),
    hint="This is cut at one end only, so that everything is moved to the right.",
)
def cuts_one_end(x, z):
    return does_not_cut(x, z)[: (len(x) - 1) * z + 1]


@wrong(
    "5.5",
    loses=("by 2", "by 3", "by 8", "a single value"),
    hint="There are zeros behind the last value, too; put them only between values.",
)
def zeros_behind_the_last(x, z):
    spread = np.zeros(len(x) * z)
    spread[::z] = x
    return np.convolve(spread, 1 - abs(np.arange(1 - z, z)) / z)[z - 1 : z - 1 + len(spread)]
