"""Wrong answers to task 10.3."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

MOVED = ("one dimension", "two dimensions", "five dimensions", "one point, three dimensions")


def weigh(offset):
    """Return the right weights."""
    b = np.zeros(offset.shape)
    b[1:] = np.diff(np.sort(offset, axis=0), axis=0) / len(offset)
    b[0] = 1 - b[1:].sum(axis=0)
    return b


@wrong(
    "10.3",
    loses=("two dimensions", "five dimensions", "one point, three dimensions"),
    hint="The corners are in the wrong order: ask again which corner makes the step between the "
    "two largest offsets.",
)
def other_order(offset):
    b = weigh(offset)
    return np.concatenate([b[:1], b[:0:-1]])


@wrong(
    "10.3",
    loses=MOVED,
    hint="The steps are not divided by d + 1, the height of a step between two ranks.",
)
def not_divided(offset):
    b = weigh(offset) * len(offset)
    b[0] = 1 - b[1:].sum(axis=0)
    return b


@wrong(
    "10.3",
    loses=ALL,
    hint="The weights do not sum to 1: remainder 0 gets what the others leave.",
)
def nothing_for_zero(offset):
    b = weigh(offset)
    b[0] = 0
    return b


@wrong(
    "10.3",
    loses=("two dimensions", "five dimensions", "one point, three dimensions"),
    hint="The offsets are not sorted: differences count between ranks, not between coordinates.",
)
def not_sorted(offset):
    b = np.zeros(offset.shape)
    b[1:] = abs(np.diff(offset, axis=0)) / len(offset)
    b[0] = 1 - b[1:].sum(axis=0)
    return b


@wrong(
    "10.3",
    loses=MOVED,
    hint="The weights are sorted, but each belongs to one remainder: keep the order of the ranks.",
)
def sorts_weights(offset):
    return np.sort(weigh(offset), axis=0)[::-1]


@wrong(
    "10.3",
    loses=("two dimensions", "five dimensions", "one point, three dimensions"),
    hint="The offsets are not sorted, and some weights are negative: differences count between "
    "ranks, not between coordinates.",
)
def not_sorted_at_all(offset):
    b = np.zeros(offset.shape)
    b[1:] = np.diff(offset, axis=0) / len(offset)
    b[0] = 1 - b[1:].sum(axis=0)
    return b


@wrong(
    "10.3",
    loses=MOVED,
    hint="The offsets are not sorted, and some weights are negative: differences count between "
    "ranks, not between coordinates.",
)
def not_sorted_downwards(offset):
    b = np.zeros(offset.shape)
    b[1:] = -np.diff(offset, axis=0)[::-1] / len(offset)
    b[0] = 1 - b[1:].sum(axis=0)
    return b


@wrong(
    "10.3",
    loses=MOVED,
    hint="The steps are divided by d; d counts the features, and a step has height d + 1.",
)
def divided_by_d(offset):
    b = weigh(offset) * len(offset) / (len(offset) - 1)
    b[0] = 1 - b[1:].sum(axis=0)
    return b
