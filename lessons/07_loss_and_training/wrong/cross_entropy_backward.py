"""Wrong answers to task 7.2."""

import numpy as np

from minideeplab.grading import wrong

LABELLED = ("every pixel has a label", "some are ignored", "unevenly ignored", "large scores")
SOME = ("some are ignored", "unevenly ignored", "large scores")


def softmax(scores):
    """Return the probabilities."""
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def onehot(scores, labels):
    """Return 1 at the label, 0 elsewhere."""
    return labels[:, None] == np.arange(scores.shape[1])[:, None, None]


def count(labels):
    """Return the number of counted pixels, at least 1."""
    return max(1, (labels != 255).sum())


@wrong(
    "7.2",
    loses=(*SOME, "no label at all"),
    hint="Ignored pixels get a gradient; it is 0 there, for all classes.",
)
def ignored_get_something(scores, labels):
    return (softmax(scores) - onehot(scores, labels)) / count(labels)


@wrong("7.2", loses=SOME, hint="The gradient is divided by all pixels, not by those that count.")
def divides_by_all(scores, labels):
    counted = (labels != 255)[:, None]
    return (softmax(scores) - onehot(scores, labels)) * counted / labels.size


@wrong("7.2", loses=LABELLED, hint="This is the gradient of the sum; the loss is a mean.")
def of_the_sum(scores, labels):
    return (softmax(scores) - onehot(scores, labels)) * (labels != 255)[:, None]


@wrong(
    "7.2",
    loses=LABELLED,
    hint="Only the label's class gets a gradient; the other scores are in the softmax, too.",
)
def only_the_label(scores, labels):
    hot = onehot(scores, labels)
    return (softmax(scores) - 1) * hot / count(labels)


@wrong(
    "7.2",
    loses=("unevenly ignored", "large scores"),
    hint="Each image is divided by its own count; the mean is over the whole batch.",
)
def image_by_image(scores, labels):
    counts = np.maximum(1, (labels != 255).sum(axis=(1, 2)))[:, None, None, None] * len(labels)
    return (softmax(scores) - onehot(scores, labels)) * (labels != 255)[:, None] / counts


@wrong(
    "7.2",
    loses=("large scores",),
    hint="exp overflows for large scores: take off the largest score of each pixel first.",
)
def overflows(scores, labels):
    with np.errstate(all="ignore"):
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return (p - onehot(scores, labels)) * (labels != 255)[:, None] / count(labels)


@wrong(
    "7.2",
    loses=("no label at all",),
    hint="Without a single label this is 0/0; the gradient is 0 then.",
)
def nan_without_labels(scores, labels):
    counted = (labels != 255)[:, None]
    with np.errstate(all="ignore"):
        return (softmax(scores) - onehot(scores, labels)) * counted / np.float64(counted.sum())


@wrong(
    "7.2",
    loses=("large scores",),
    hint="One number is taken off all scores; take off each pixel's own largest score, or a pixel "
    "far below the largest is 0/0.",
)
def one_shift_for_all(scores, labels):
    with np.errstate(all="ignore"):
        p = np.exp(scores - scores.max())
        p = p / p.sum(axis=1, keepdims=True)
    return (p - onehot(scores, labels)) * (labels != 255)[:, None] / count(labels)
