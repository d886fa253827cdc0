"""Wrong answers to task 9.3."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def others(weights, i):
    """Return the sum over all axes but one."""
    return np.moveaxis(weights, i, 0).reshape(len(weights), -1).sum(axis=1)


def normalised(energies):
    """Return the probability of each labelling."""
    p = np.exp(-(energies - energies.min()))
    return p / p.sum()


@wrong(
    "9.3",
    loses=("large energies", "very negative energies", "energies from -900 to 900"),
    hint="exp leaves the range of float64 here. Take the same constant off all energies first.",
)
def overflows(energies):
    with np.errstate(all="ignore"):
        p = np.exp(-energies)
        p /= p.sum()
        return np.stack([others(p, i) for i in range(p.ndim)], axis=1)


@wrong("9.3", loses=ALL, hint="Good labellings have a low energy: the exponent is -E.")
def wrong_sign(energies):
    p = normalised(-energies)
    return np.stack([others(p, i) for i in range(p.ndim)], axis=1)


@wrong(
    "9.3",
    loses=(
        "two pixels, three labels",
        "five pixels, two labels",
        "one pixel",
        "large energies",
        "very negative energies",
    ),
    hint="The marginals do not sum to 1 over the labels of a pixel: divide by Z.",
)
def forgets_z(energies):
    p = np.exp(-(energies - energies.min()))
    return np.stack([others(p, i) for i in range(p.ndim)], axis=1)


@wrong(
    "9.3",
    loses=("two pixels, three labels", "five pixels, two labels", "large energies",
           "very negative energies"),
    hint="This is the best labelling's share for each label, a maximum over the others; a marginal "
    "sums over all that the others may do.",
)  # fmt: skip
def maximum_of_the_others(energies):
    p = normalised(energies)
    columns = [
        np.moveaxis(p, i, 0).reshape(len(p), -1).max(axis=1, initial=0) for i in range(p.ndim)
    ]
    q = np.stack(columns, axis=1)
    return q / q.sum(axis=0)


@wrong(
    "9.3",
    loses=("two pixels, three labels", "five pixels, two labels", "large energies",
           "very negative energies"),
    hint="The energies are averaged and then turned into probabilities; turn each into a "
    "probability first, then sum.",
)  # fmt: skip
def averages_energies(energies):
    means = [
        np.moveaxis(energies, i, 0).reshape(len(energies), -1).mean(axis=1)
        for i in range(energies.ndim)
    ]
    e = np.stack(means, axis=1)
    p = np.exp(e.min(axis=0) - e)
    return p / p.sum(axis=0)


@wrong(
    "9.3",
    loses=("energies from -900 to 900",),
    hint="What is taken off is not the smallest energy: the weight of the best labelling must be "
    "e^0, or it overflows where energies are far apart.",
)
def shifts_by_the_largest(energies):
    with np.errstate(all="ignore"):
        p = np.exp(energies.max() - energies)
        p /= p.sum()
        return np.stack([others(p, i) for i in range(p.ndim)], axis=1)


@wrong(
    "9.3",
    loses=("energies from -900 to 900",),
    hint="The mean energy is taken off. Where energies are far apart exp still overflows: take off "
    "the smallest.",
)
def shifts_by_the_mean(energies):
    with np.errstate(all="ignore"):
        p = np.exp(energies.mean() - energies)
        p /= p.sum()
        return np.stack([others(p, i) for i in range(p.ndim)], axis=1)
