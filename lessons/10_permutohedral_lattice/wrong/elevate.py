"""Wrong answers to task 10.1."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def lift(features, scale, lengths, last):
    """Add each feature along (1, ..., 1, -last(i), 0, ...) / lengths(i)."""
    d, n = features.shape
    e = np.zeros((d + 1, n))
    for i in range(1, d + 1):
        e[:i] += features[i - 1] / lengths(i)
        e[i] -= last(i) * features[i - 1] / lengths(i)
    return scale(d) * e


def stretch(d):
    """Return the right scale."""
    return np.sqrt(2 / 3) * (d + 1)


def length(i):
    """Return the right length."""
    return np.sqrt(i * (i + 1))


@wrong("10.1", loses=ALL, hint="The stretch by √(2/3) (d+1) is missing: this basis has length 1.")
def no_stretch(features):
    return lift(features, lambda d: 1.0, length, lambda i: i)


@wrong(
    "10.1",
    loses=ALL,
    hint="The stretch is wrong: d counts the features, and the result has d + 1 coordinates.",
)
def stretch_by_d(features):
    return lift(features, lambda d: np.sqrt(2 / 3) * d, length, lambda i: i)


@wrong(
    "10.1",
    loses=("two dimensions", "five dimensions", "one point, three dimensions"),
    hint="The columns do not sum to 0: after i ones comes -i, not -1.",
)
def minus_one(features):
    return lift(features, stretch, length, lambda i: 1)


@wrong(
    "10.1",
    loses=ALL,
    hint="The vectors of the basis do not have length 1: i ones and one -i make i (i+1) under the "
    "root.",
)
def wrong_length(features):
    return lift(features, stretch, lambda i: np.sqrt(i), lambda i: i)


@wrong(
    "10.1",
    loses=("two dimensions", "five dimensions", "one point, three dimensions"),
    hint="The features are taken in reverse: the first goes with the vector (1, -1, 0, ...).",
)
def reversed_features(features):
    return lift(features[::-1], stretch, length, lambda i: i)
