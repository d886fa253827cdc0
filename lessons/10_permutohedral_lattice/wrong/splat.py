"""Wrong answers to task 10.4."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

SHARED = ("many points in one triangle", "five dimensions", "a vertex that nobody touches")


def add(shares, corners, n_vertices):
    """Add shares (C, D+1, N) to their corners."""
    sums = np.zeros((len(shares), n_vertices))
    for row, share in zip(sums, shares, strict=True):
        np.add.at(row, corners, share)
    return sums


@wrong(
    "10.4",
    loses=SHARED,
    hint="Points that share a vertex overwrite each other: += adds once for a repeated number.",
)
def adds_once(values, corners, weights, n_vertices):
    sums = np.zeros((len(values), n_vertices))
    for v, w in zip(corners, weights, strict=True):
        sums[:, v] += w * values
    return sums


@wrong("10.4", loses=ALL, hint="The weights are not used: a point shares its value out.")
def no_weights(values, corners, weights, n_vertices):
    return add(np.broadcast_to(values[:, None], (len(values), *corners.shape)), corners, n_vertices)


@wrong(
    "10.4",
    loses=ALL,
    hint="The sums are divided by the weights that arrived; a splat adds up, it takes no mean.",
)
def takes_the_mean(values, corners, weights, n_vertices):
    sums = add(weights * values[:, None], corners, n_vertices)
    total = np.bincount(corners.ravel(), weights.ravel(), n_vertices)
    return sums / np.where(total > 0, total, 1)


@wrong("10.4", loses=ALL, hint="Only the corner of remainder 0 gets something; there are d + 1.")
def one_corner(values, corners, weights, n_vertices):
    return add((weights[:1] * values[:, None]), corners[:1], n_vertices)


@wrong(
    "10.4",
    loses=("a vertex that nobody touches",),
    hint="The result ends with the last vertex that is touched; there are n_vertices of them.",
)
def too_short(values, corners, weights, n_vertices):
    return add(weights * values[:, None], corners, corners.max() + 1)
