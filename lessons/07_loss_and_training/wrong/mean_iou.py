"""Wrong answers to task 7.5."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

IGNORED = ("some are ignored", "a class that does not occur", "a class that is only said",
           "a class that is only true")  # fmt: skip


def counts(said, truth, classes):
    """Return the intersections and unions of all classes."""
    pairs = [(said == c, truth == c) for c in range(classes)]
    return np.array([[(a & b).sum(), (a | b).sum()] for a, b in pairs]).T


def counted(said, truth):
    """Leave out what is ignored."""
    return said[truth != 255], truth[truth != 255]


@wrong(
    "7.5",
    loses=IGNORED,
    hint="What was said at ignored pixels counts in the unions; those pixels do not exist.",
)
def keeps_ignored(said, truth, classes):
    both, either = counts(said, truth, classes)
    return float(np.mean(both[either > 0] / either[either > 0]))


@wrong(
    "7.5",
    loses=("a class that does not occur",),
    hint="A class that is neither said nor true is averaged in as 0; leave it out.",
)
def absent_is_zero(said, truth, classes):
    both, either = counts(*counted(said, truth), classes)
    return float(np.mean(both / np.maximum(either, 1)))


@wrong(
    "7.5",
    loses=("a class that is only said",),
    hint="A class that is said but nowhere true is left out; it has a union, and an IoU of 0.",
)
def only_true_classes(said, truth, classes):
    said, truth = counted(said, truth)
    both, either = counts(said, truth, classes)
    present = [c for c in range(classes) if (truth == c).any()]
    return float(np.mean(both[present] / either[present]))


@wrong(
    "7.5",
    loses=ALL,
    hint="This is the share of right pixels; the measure is a mean over classes.",
)
def accuracy(said, truth, classes):
    said, truth = counted(said, truth)
    return float((said == truth).mean())


@wrong(
    "7.5",
    loses=ALL,
    hint="Intersections and unions are added up over the classes; take each class's ratio first.",
)
def ratio_of_sums(said, truth, classes):
    both, either = counts(*counted(said, truth), classes)
    return float(both.sum() / either.sum())
