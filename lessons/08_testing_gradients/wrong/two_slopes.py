"""Wrong answers to task 8.3."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def slopes(f, backward, x, c, v, step):
    """Return the right answer."""
    ends = np.sum(c * f(x + step * v)), np.sum(c * f(x - step * v))
    return float(np.sum(backward(c, x) * v)), float((ends[0] - ends[1]) / (2 * step))


@wrong("8.3", loses=ALL, hint="The outputs are summed; the cotangent is not used.")
def cotangent_of_ones(f, backward, x, cotangent, direction, step):
    return slopes(f, backward, x, np.ones_like(cotangent), direction, step)


@wrong("8.3", loses=ALL, hint="The direction is not used: x moves along it, not by h everywhere.")
def direction_of_ones(f, backward, x, cotangent, direction, step):
    return slopes(f, backward, x, cotangent, np.ones_like(direction), step)


@wrong(
    "8.3",
    loses=ALL,
    hint="The numerical slope is divided by the direction's length; it is a slope in t, not in x.",
)
def unit_direction(f, backward, x, cotangent, direction, step):
    analytical, numerical = slopes(f, backward, x, cotangent, direction, step)
    return analytical, numerical / float(np.linalg.norm(direction))


@wrong(
    "8.3",
    loses=("cube", "softmax", "a wrong backward pass"),
    hint="The numerical slope is one-sided; go backwards as well.",
)
def one_sided(f, backward, x, cotangent, direction, step):
    numerical = np.sum(cotangent * (f(x + step * direction) - f(x))) / step
    return slopes(f, backward, x, cotangent, direction, step)[0], float(numerical)


@wrong(
    "8.3",
    loses=("a wrong backward pass",),
    hint="The two slopes are returned in the other order.",
)
def other_order(f, backward, x, cotangent, direction, step):
    return slopes(f, backward, x, cotangent, direction, step)[::-1]
