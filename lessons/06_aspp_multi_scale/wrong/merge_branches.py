"""Wrong answers to task 6.2."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def merge(kernels, rates, size, first, add=True):
    """Add kernels into one of a size, each from first(size, reach) on."""
    merged = np.zeros((*kernels[0].shape[:2], size, size))
    for kernel, rate in zip(kernels, rates, strict=True):
        reach = (kernel.shape[2] - 1) * rate
        begin = first(size, reach)
        for i, j in np.ndindex(kernel.shape[2:]):
            y, x = begin + i * rate, begin + j * rate
            if max(y, x) < size and min(y, x) >= 0:
                merged[:, :, y, x] = kernel[:, :, i, j] + add * merged[:, :, y, x]
    return merged


def largest(kernels, rates):
    """Return the right size."""
    return max((k.shape[2] - 1) * r for k, r in zip(kernels, rates, strict=True)) + 1


def middle(size, reach):
    """Return the right beginning."""
    return (size - 1 - reach) // 2


@wrong(
    "6.2",
    loses=("rates 1 and 2", "the largest rate first", "3 × 3 and 5 × 5", "with a 1 × 1 branch",
           "equal rates", "four branches"),
    hint="Where several branches have a tap, only the last one is left; their weights add up.",
)  # fmt: skip
def overwrites(kernels, rates):
    return merge(kernels, rates, largest(kernels, rates), middle, add=False)


@wrong(
    "6.2",
    loses=("rates 1 and 2", "the largest rate first", "3 × 3 and 5 × 5", "with a 1 × 1 branch",
           "four branches"),
    hint="The kernels share their first tap, not their middle; centre them on one another.",
)  # fmt: skip
def aligns_the_first_tap(kernels, rates):
    return merge(kernels, rates, largest(kernels, rates), lambda size, reach: 0)


@wrong(
    "6.2",
    loses=("the largest rate first", "3 × 3 and 5 × 5"),
    hint="The size is that of the last branch; the largest may be another.",
)
def size_of_the_last(kernels, rates):
    return merge(kernels, rates, (kernels[-1].shape[2] - 1) * rates[-1] + 1, middle)


@wrong(
    "6.2",
    loses=ALL,
    hint="The taps are flipped; deep learning's convolution reads forwards.",
)
def flips(kernels, rates):
    turned = [kernel[:, :, ::-1, ::-1] for kernel in kernels]
    return merge(turned, rates, largest(kernels, rates), middle)


@wrong(
    "6.2",
    loses=("3 × 3 and 5 × 5", "with a 1 × 1 branch"),
    hint="All branches are taken to have 3 × 3 taps; each has its own size.",
)
def always_three(kernels, rates):
    size = 2 * max(rates) + 1
    merged = np.zeros((*kernels[0].shape[:2], size, size))
    for kernel, rate in zip(kernels, rates, strict=True):
        k = kernel.shape[2]
        for i, j in np.ndindex(min(k, 3), min(k, 3)):
            y, x = size // 2 + (i - 1) * rate, size // 2 + (j - 1) * rate
            merged[:, :, y, x] += kernel[:, :, i, j]
    return merged


@wrong(
    "6.2",
    loses=("rates 1 and 2", "the largest rate first", "3 × 3 and 5 × 5", "with a 1 × 1 branch",
           "equal rates", "four branches"),
    hint="The branches are averaged; the pyramid adds them up.",
)  # fmt: skip
def averages(kernels, rates):
    return merge(kernels, rates, largest(kernels, rates), middle) / len(kernels)


@wrong(
    "6.2",
    loses=ALL,
    hint="There is one hole too many between the taps: at rate r, r - 1 zeros lie between them.",
)
def one_hole_too_many(kernels, rates):
    wider = [rate + 1 for rate in rates]
    return merge(kernels, wider, largest(kernels, wider), middle)


@wrong(
    "6.2",
    loses=ALL,
    hint="The rates are not used: the kernels have to be spread apart before they are added.",
)
def ignores_the_rates(kernels, rates):
    ones = [1] * len(rates)
    return merge(kernels, ones, largest(kernels, ones), middle)
