"""Wrong answers to task 7.5."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

IGNORED = ("some are ignored", "a class that does not occur", "a class that is only predicted",
           "a class that is only true")  # fmt: skip


def counts(predicted, truth, classes):
    """Return the intersections and unions of all classes."""
    pairs = [(predicted == c, truth == c) for c in range(classes)]
    return np.array([[(a & b).sum(), (a | b).sum()] for a, b in pairs]).T


def counted(predicted, truth):
    """Leave out what is ignored."""
    return predicted[truth != 255], truth[truth != 255]


@wrong(
    "7.5",
    loses=IGNORED,
    hint="What was predicted at ignored pixels counts in the unions; those pixels do not exist.",
)
def keeps_ignored(predicted, truth, classes):
    both, either = counts(predicted, truth, classes)
    return float(np.mean(both[either > 0] / either[either > 0]))


@wrong(
    "7.5",
    loses=("a class that does not occur",),
    hint="A class that is neither predicted nor true is averaged in as 0; leave it out.",
)
def absent_is_zero(predicted, truth, classes):
    both, either = counts(*counted(predicted, truth), classes)
    return float(np.mean(both / np.maximum(either, 1)))


@wrong(
    "7.5",
    loses=("a class that is only predicted",),
    hint="A class that is predicted but nowhere true is left out; it has a union, and an IoU of 0.",
)
def only_true_classes(predicted, truth, classes):
    predicted, truth = counted(predicted, truth)
    both, either = counts(predicted, truth, classes)
    present = [c for c in range(classes) if (truth == c).any()]
    return float(np.mean(both[present] / either[present]))


@wrong(
    "7.5",
    loses=ALL,
    hint="This is the share of right pixels; the measure is a mean over classes.",
)
def accuracy(predicted, truth, classes):
    predicted, truth = counted(predicted, truth)
    return float((predicted == truth).mean())


@wrong(
    "7.5",
    loses=ALL,
    hint="Intersections and unions are added up over the classes; take each class's ratio first.",
)
def ratio_of_sums(predicted, truth, classes):
    both, either = counts(*counted(predicted, truth), classes)
    return float(both.sum() / either.sum())


@wrong(
    "7.5",
    loses=ALL,
    hint="This is Dice's coefficient: the intersection twice over the sum of both sizes. Divide "
    "the intersection by the union.",
)
def dice(predicted, truth, classes):
    both, either = counts(*counted(predicted, truth), classes)
    present = either > 0
    return float(np.mean(2 * both[present] / (both + either)[present]))


@wrong(
    "7.5",
    loses=ALL,
    hint="The intersection is divided by the true pixels: that is the recall. What was predicted "
    "too much belongs to the union.",
)
def recall(predicted, truth, classes):
    predicted, truth = counted(predicted, truth)
    true = [c for c in range(classes) if (truth == c).any()]
    return float(np.mean([(predicted[truth == c] == c).mean() for c in true]))


@wrong(
    "7.5",
    loses=("a class that does not occur",),
    hint="A class that is neither predicted nor true is 0/0; leave it out of the mean.",
)
def absent_is_nan(predicted, truth, classes):
    both, either = counts(*counted(predicted, truth), classes)
    with np.errstate(all="ignore"):
        return float(np.mean(both / either))


@wrong(
    "7.5",
    loses=("a class that does not occur",),
    hint="A class that is neither predicted nor true is averaged in as 1; leave it out.",
)
def absent_is_one(predicted, truth, classes):
    both, either = counts(*counted(predicted, truth), classes)
    return float(np.mean(np.where(either > 0, both / np.maximum(either, 1), 1)))
