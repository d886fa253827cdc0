"""Wrong answers to task 3.3."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def hand_back(dy, index, shape):
    """Return the right answer."""
    dx = np.zeros((shape[0], shape[1] * shape[2]))
    for c in range(shape[0]):
        np.add.at(dx[c], index[c].ravel(), dy[c].ravel())
    return dx.reshape(shape)


@wrong(
    "3.3",
    loses=("windows overlap", "one pixel wins nine windows", "three channels"),
    hint="A pixel that wins several windows gets only one of their gradients; they add up.",
)
def overwrites(dy, index, shape):
    dx = np.zeros((shape[0], shape[1] * shape[2]))
    for c in range(shape[0]):
        dx[c][index[c].ravel()] += dy[c].ravel()
    return dx.reshape(shape)


@wrong("3.3", loses=ALL, hint="Winners get 1 instead of the gradient of the windows they won.")
def counts_wins(dy, index, shape):
    return hand_back(np.ones(dy.shape), index, shape)


@wrong(
    "3.3",
    loses=("windows do not overlap", "three channels", "a single row"),
    hint="All channels are written into the first; an index counts within its own channel.",
)
def one_plane(dy, index, shape):
    dx = np.zeros(shape)
    np.add.at(dx.reshape(-1), index.ravel(), dy.ravel())
    return dx


@wrong(
    "3.3",
    loses=("windows overlap", "one pixel wins nine windows", "three channels"),
    hint="The gradients that one pixel gets are averaged; a gradient of several uses is a sum.",
)
def averages(dy, index, shape):
    wins = hand_back(np.ones(dy.shape), index, shape)
    return hand_back(dy, index, shape) / np.maximum(wins, 1)


@wrong(
    "3.3",
    loses=(
        "windows do not overlap",
        "windows overlap",
        "one pixel wins nine windows",
        "three channels",
    ),
    hint="Row and column are swapped: the index counts along rows of W pixels.",
)
def transposes(dy, index, shape):
    dx = hand_back(dy, index, shape).reshape(shape[0], -1)
    return dx.reshape(shape[0], shape[2], shape[1]).swapaxes(1, 2).copy()
