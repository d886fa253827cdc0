"""Wrong answers to task 10.2."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def ranks(offset):
    """Return the right ranks."""
    return np.argsort(np.argsort(-offset, axis=0), axis=0)


def nearest(e, smallest_first=True):
    """Return the nearest vertex of remainder 0, or a repair at the wrong coordinates."""
    size = len(e)
    z = np.rint(e / size).astype(np.int64)
    for n in range(e.shape[1]):
        order = np.argsort(e[:, n] - size * z[:, n])
        order = order if smallest_first else order[::-1]
        s = z[:, n].sum()
        if s > 0:
            z[order[:s], n] -= 1
        if s < 0:
            z[order[s:], n] += 1
    return size * z


@wrong(
    "10.2",
    loses=(
        "two dimensions",
        "three dimensions, far out",
        "five dimensions",
        "two coordinates to repair",
    ),
    hint="The vertex is not in the plane: after rounding, its coordinates must still sum to 0.",
)
def no_repair(e):
    vertex = len(e) * np.rint(e / len(e)).astype(np.int64)
    return vertex, ranks(e - vertex)


@wrong(
    "10.2",
    loses=(
        "two dimensions",
        "three dimensions, far out",
        "five dimensions",
        "two coordinates to repair",
    ),
    hint="The sum is repaired at the wrong coordinates: move those that were rounded furthest "
    "the other way.",
)
def repairs_the_wrong_ones(e):
    vertex = nearest(e, smallest_first=False)
    return vertex, ranks(e - vertex)


@wrong(
    "10.2",
    loses=(
        "two dimensions",
        "near a vertex",
        "three dimensions, far out",
        "five dimensions",
        "two coordinates to repair",
    ),
    hint="argsort says who comes first, not which place each has: invert the permutation.",
)
def order_for_rank(e):
    vertex = nearest(e)
    return vertex, np.argsort(-(e - vertex), axis=0)


@wrong("10.2", loses=ALL, hint="The ranks run the other way: the largest offset has rank 0.")
def smallest_first(e):
    vertex = nearest(e)
    return vertex, len(e) - 1 - ranks(e - vertex)


@wrong(
    "10.2",
    loses=(
        "two dimensions",
        "three dimensions, far out",
        "five dimensions",
        "two coordinates to repair",
    ),
    hint="The ranks are those before the repair; the offsets have changed since.",
)
def ranks_before_repair(e):
    first = len(e) * np.rint(e / len(e))
    return nearest(e), ranks(e - first)


@wrong(
    "10.2",
    loses=(
        "one dimension",
        "two dimensions",
        "three dimensions, far out",
        "five dimensions",
        "two coordinates to repair",
    ),
    hint="The factors z are returned; the vertex is (d+1) z.",
)
def factors(e):
    vertex = nearest(e)
    return vertex // len(e), ranks(e - vertex)


def repaired(e, repair):
    """Return the vertices after another repair: repair(z, order, s) of one point."""
    z = np.rint(e / len(e)).astype(np.int64)
    for n in range(e.shape[1]):
        repair(z[:, n], np.argsort(e[:, n] - len(e) * z[:, n]), z[:, n].sum())
    vertex = len(e) * z
    return vertex, ranks(e - vertex)


@wrong(
    "10.2",
    loses=("two coordinates to repair",),
    hint="Only one coordinate is repaired; where the factors sum to 2 or -2, two must move.",
)
def repairs_one(e):
    def repair(z, order, s):
        z[order[0 if s > 0 else -1]] -= np.sign(s)

    return repaired(e, repair)


@wrong(
    "10.2",
    loses=("two coordinates to repair",),
    hint="One coordinate is moved by the whole sum S; move |S| coordinates by one multiple each.",
)
def moves_one_by_all(e):
    def repair(z, order, s):
        z[order[0 if s > 0 else -1]] -= s

    return repaired(e, repair)


@wrong(
    "10.2",
    loses=(
        "two dimensions",
        "three dimensions, far out",
        "five dimensions",
        "two coordinates to repair",
    ),
    hint="Only a sum above zero is repaired; one below zero has to be raised.",
)
def repairs_positive_sums(e):
    def repair(z, order, s):
        if s > 0:
            z[order[:s]] -= 1

    return repaired(e, repair)


@wrong(
    "10.2",
    loses=("three dimensions, far out", "five dimensions", "two coordinates to repair"),
    hint="Only a sum below zero is repaired; one above zero has to be lowered.",
)
def repairs_negative_sums(e):
    def repair(z, order, s):
        if s < 0:
            z[order[s:]] += 1

    return repaired(e, repair)
