"""Wrong answers to task 7.1."""

import numpy as np

from minideeplab.grading import wrong


def pixels(scores, labels):
    """Return the loss of each pixel, 0 where it is ignored."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    safe = np.where(labels == 255, 0, labels)
    return np.where(labels == 255, 0, -np.take_along_axis(log_p, safe[:, None], 1)[:, 0])


@wrong(
    "7.1",
    loses=("some are ignored", "unevenly ignored", "large scores"),
    hint="The mean divides by all pixels; ignored ones must not count there either.",
)
def divides_by_all(scores, labels):
    return float(pixels(scores, labels).mean())


@wrong(
    "7.1",
    loses=("unevenly ignored", "large scores"),
    hint="The mean is taken image by image; it is over the counted pixels of the whole batch.",
)
def image_by_image(scores, labels):
    counts = np.maximum(1, (labels != 255).sum(axis=(1, 2)))
    return float((pixels(scores, labels).sum(axis=(1, 2)) / counts).mean())


@wrong(
    "7.1",
    loses=("large scores",),
    hint="exp overflows for large scores: take off the largest score of each pixel first.",
)
def overflows(scores, labels):
    with np.errstate(all="ignore"):
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        safe = np.where(labels == 255, 0, labels)
        chosen = -np.log(np.take_along_axis(p, safe[:, None], 1)[:, 0])
    return float(chosen[labels != 255].sum() / max(1, (labels != 255).sum()))


@wrong(
    "7.1",
    loses=("no label at all",),
    hint="Without a single label this is 0/0; the loss is 0 then.",
)
def nan_without_labels(scores, labels):
    with np.errstate(all="ignore"):
        return float(pixels(scores, labels).sum() / np.float64((labels != 255).sum()))


@wrong(
    "7.1",
    loses=("every pixel has a label", "some are ignored", "unevenly ignored", "large scores"),
    hint="The losses are added up; the loss is their mean.",
)
def adds_up(scores, labels):
    return float(pixels(scores, labels).sum())


@wrong(
    "7.1",
    loses=("some are ignored", "unevenly ignored", "large scores", "no label at all"),
    hint="Ignored pixels are counted as if they had label 0.",
)
def ignored_is_background(scores, labels):
    return float(pixels(scores, np.where(labels == 255, 0, labels)).mean())


@wrong(
    "7.1",
    loses=("large scores",),
    hint="The probability of a label may round to 0, and its logarithm is -infinity: take the "
    "logarithm of the sum and subtract, without the quotient.",
)
def logarithm_of_zero(scores, labels):
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    safe = np.where(labels == 255, 0, labels)
    with np.errstate(all="ignore"):
        chosen = -np.log(np.take_along_axis(p, safe[:, None], 1)[:, 0])
    return float(chosen[labels != 255].sum() / max(1, (labels != 255).sum()))


@wrong(
    "7.1",
    loses=("large scores",),
    hint="A small number inside the logarithm changes the loss of a label that is very improbable.",
)
def adds_a_small_number(scores, labels):
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    safe = np.where(labels == 255, 0, labels)
    chosen = -np.log(np.take_along_axis(p, safe[:, None], 1)[:, 0] + 1e-12)
    return float(chosen[labels != 255].sum() / max(1, (labels != 255).sum()))
