"""Wrong answers to task 6.5."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

SEVERAL = ("1 and 0.5", "1, 0.75 and 0.5", "sizes that are rounded", "the small scale first",
           "enlarged")  # fmt: skip


def gaps(n, scale):
    """Return the right size."""
    return int((n - 1) * scale) + 1


def run(image, scales, network, resize, size=gaps):
    """Return all scales' scores in the size of the first."""
    found = [network(resize(image, tuple(size(n, s) for n in image.shape[1:]))) for s in scales]
    return [resize(scores, found[0].shape[1:]) for scores in found]


@wrong("6.5", loses=SEVERAL, hint="The scales are averaged; keep the largest score of each class.")
def averages(image, scales, network, resize):
    return np.mean(run(image, scales, network, resize), axis=0)


@wrong("6.5", loses=SEVERAL, hint="The scales are added up; keep the largest score of each class.")
def adds(image, scales, network, resize):
    return np.sum(run(image, scales, network, resize), axis=0)


@wrong(
    "6.5",
    loses=("1 and 0.5", "1, 0.75 and 0.5", "the small scale first"),
    hint="The sizes are off by one: it is the gaps between pixels that scale, not the pixels.",
)
def scales_the_pixels(image, scales, network, resize):
    return np.max(run(image, scales, network, resize, lambda n, s: int(n * s)), axis=0)


@wrong(
    "6.5",
    loses=("sizes that are rounded",),
    hint="Sizes are rounded to the nearest whole number, or up; round down.",
)
def rounds_up(image, scales, network, resize):
    found = run(image, scales, network, resize, lambda n, s: int(np.ceil((n - 1) * s)) + 1)
    return np.max(found, axis=0)


@wrong(
    "6.5",
    loses=("the small scale first",),
    hint="The scores have the size of the largest scale; the first one in the list counts.",
)
def size_of_the_largest(image, scales, network, resize):
    size = network(image).shape[1:]
    return np.max([resize(s, size) for s in run(image, sorted(scales, key=lambda s: s != 1),
                                                network, resize)], axis=0)  # fmt: skip


@wrong(
    "6.5",
    loses=SEVERAL,
    hint="The scores of the image are resized; the network never sees a smaller image.",
)
def scales_the_scores(image, scales, network, resize):
    scores = network(image)
    first = tuple(gaps(n, scales[0]) for n in scores.shape[1:])
    small = [resize(scores, tuple(gaps(n, s) for n in scores.shape[1:])) for s in scales]
    return np.max([resize(s, first) for s in small], axis=0)


@wrong(
    "6.5",
    loses=ALL,
    hint="The maximum starts at 0, so that negative scores are lost; start with the first scale.",
)
def starts_at_zero(image, scales, network, resize):
    return np.maximum(np.max(run(image, scales, network, resize), axis=0), 0)


@wrong("6.5", loses=SEVERAL, hint="Only the first scale arrives in the result.")
def first_scale_only(image, scales, network, resize):
    return run(image, scales, network, resize)[0]


@wrong("6.5", loses=SEVERAL, hint="The smallest scores are kept; keep the largest.")
def keeps_the_smallest(image, scales, network, resize):
    return np.min(run(image, scales, network, resize), axis=0)
