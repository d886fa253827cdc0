"""Wrong answers to task 10.5."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def sides(v, axis):
    """Return the values before plus those behind, with zeros for the missing."""
    padded = np.pad(v, ((0, 0), (0, 1)))
    return padded[:, axis[0]] + padded[:, axis[1]]


@wrong(
    "10.5",
    loses=("two dimensions", "five dimensions"),
    hint="Every pass starts from the first values; pass on the result of the axis before.",
)
def from_the_start(v, neighbours):
    result = v * 0.5 ** len(neighbours)
    for n, axis in enumerate(neighbours):
        result = result + sides(v, axis) / 4 * 0.5 ** (len(neighbours) - 1 - n)
    return result


@wrong(
    "10.5",
    loses=ALL,
    hint="The missing neighbour's number M is taken for the last vertex; it counts as zero.",
)
def last_for_missing(v, neighbours):
    for axis in neighbours:
        axis = np.minimum(axis, v.shape[1] - 1)
        v = v / 2 + (v[:, axis[0]] + v[:, axis[1]]) / 4
    return v


@wrong(
    "10.5",
    loses=ALL,
    hint="Where a neighbour is missing, the vertex itself stands in for it; it counts as zero.",
)
def itself_for_missing(v, neighbours):
    here = np.arange(v.shape[1])
    for axis in neighbours:
        axis = np.where(axis == v.shape[1], here, axis)
        v = v / 2 + (v[:, axis[0]] + v[:, axis[1]]) / 4
    return v


@wrong(
    "10.5",
    loses=ALL,
    hint="The taps do not sum to 1: 1/4, 1/2, 1/4 for before, here and behind.",
)
def taps_too_large(v, neighbours):
    for axis in neighbours:
        v = v + sides(v, axis) / 2
    return v


@wrong(
    "10.5",
    loses=("one axis, four in a row", "two dimensions", "five dimensions"),
    hint="Only one of the two neighbours is used on each axis.",
)
def one_neighbour(v, neighbours):
    for before, _ in neighbours:
        v = v / 2 + np.pad(v, ((0, 0), (0, 1)))[:, before] / 2
    return v


@wrong(
    "10.5",
    loses=("two dimensions", "five dimensions", "nobody has a neighbour"),
    hint="One pass is missing: there are d + 1 axes, one more than dimensions.",
)
def an_axis_short(v, neighbours):
    for axis in neighbours[: max(1, len(neighbours) - 1)]:
        v = v / 2 + sides(v, axis) / 4
    return v


@wrong(
    "10.5",
    loses=("two dimensions", "five dimensions", "nobody has a neighbour"),
    hint="Only the first axis is blurred; does the function return inside its loop?",
)
def first_axis_only(v, neighbours):
    return v / 2 + sides(v, neighbours[0]) / 4


@wrong(
    "10.5",
    loses=("one axis, four in a row", "two dimensions", "five dimensions"),
    hint="A pass reads values that it has changed already; read all of them from before the pass.",
)
def in_place(v, neighbours):
    padded = np.pad(v, ((0, 0), (0, 1)))
    for before, behind in neighbours:
        for i in range(v.shape[1]):
            padded[:, i] = padded[:, i] / 2 + (padded[:, before[i]] + padded[:, behind[i]]) / 4
    return padded[:, :-1]
