"""Wrong answers to task 8.5."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


@wrong(
    "8.5",
    loses=("flipped sign", "shifted"),
    hint="The magnitude is returned; the gap has a sign.",
)
def magnitude(f, transpose, x, dy):
    return float(abs(np.sum(dy * f(x)) - np.sum(transpose(dy) * x)))


@wrong(
    "8.5",
    loses=ALL,
    hint="Sums are compared instead of inner products: dy and x are not used as weights.",
)
def sums(f, transpose, x, dy):
    return float(np.sum(f(x)) - np.sum(transpose(dy)))


@wrong(
    "8.5",
    loses=("flipped sign", "shifted"),
    hint="The gap is divided by the size of its terms; only their difference is asked for.",
)
def relative(f, transpose, x, dy):
    one, other = np.sum(dy * f(x)), np.sum(transpose(dy) * x)
    return float((one - other) / max(abs(one), abs(other)))
