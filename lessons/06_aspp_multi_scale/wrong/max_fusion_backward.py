"""Wrong answers to task 6.4."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

SEVERAL = ("two scales", "three scales, two classes", "ties", "five classes", "negative scores")


def give(dy, scores, winner):
    """Give dy to the winner (C, H, W) or (H, W)."""
    return np.where(np.arange(len(scores))[:, None, None, None] == winner, dy, 0.0)


@wrong(
    "6.4",
    loses=("ties",),
    hint="At a tie several scales get the gradient; only the first of them should.",
)
def all_winners_of_a_tie(dy, scores):
    return np.where(scores == scores.max(axis=0), dy, 0.0)


@wrong("6.4", loses=("ties",), hint="At a tie the last scale wins; the first should.")
def last_of_a_tie(dy, scores):
    return give(dy, scores, len(scores) - 1 - scores[::-1].argmax(axis=0))


@wrong(
    "6.4",
    loses=("ties",),
    hint="At a tie the gradient is shared out; the first of the scales should get all of it.",
)
def shares_a_tie(dy, scores):
    best = scores == scores.max(axis=0)
    return np.where(best, dy / best.sum(axis=0), 0.0)


@wrong(
    "6.4",
    loses=SEVERAL,
    hint="Every scale gets the whole gradient: that is a sum's. Only the winner gets it here.",
)
def like_a_sum(dy, scores):
    return np.broadcast_to(dy, scores.shape).copy()


@wrong(
    "6.4",
    loses=("three scales, two classes", "ties", "five classes", "negative scores"),
    hint="One scale wins for all classes of a pixel; each class has its own winner.",
)
def one_winner_a_pixel(dy, scores):
    return give(dy, scores, scores.max(axis=1).argmax(axis=0))


@wrong(
    "6.4",
    loses=ALL,
    hint="The winner is sought among the classes; it is the scales that compete.",
)
def classes_compete(dy, scores):
    best = scores.argmax(axis=1)[:, None]
    return np.where(np.arange(scores.shape[1])[:, None, None] == best, dy, 0.0)


@wrong(
    "6.4",
    loses=ALL,
    hint="The winner's score is multiplied in; the derivative of a maximum is 1, not the value.",
)
def times_the_score(dy, scores):
    return give(dy, scores, scores.argmax(axis=0)) * scores


@wrong(
    "6.4",
    loses=("negative scores",),
    hint="Negative scores get no gradient; a maximum is no ReLU.",
)
def like_a_relu(dy, scores):
    return give(dy, scores, scores.argmax(axis=0)) * (scores.max(axis=0).max() > 0)
