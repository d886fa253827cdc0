"""Wrong answers to task 8.1."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def differences(f, x, forwards, backwards, divisor):
    """Difference each entry, with steps of any lengths."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        ends = [x.copy(), x.copy()]
        ends[0][index] += forwards
        ends[1][index] -= backwards
        gradient[index] = (f(ends[0]) - f(ends[1])) / divisor
    return gradient


@wrong("8.1", loses=ALL, hint="The difference is one-sided: also take a step backwards.")
def one_sided(f, x, step):
    return differences(f, x, step, 0.0, step)


@wrong("8.1", loses=ALL, hint="The two ends lie 2 h apart, and the difference is divided by h.")
def divides_by_one_step(f, x, step):
    return differences(f, x, step, step, step)


@wrong("8.1", loses=ALL, hint="All entries are moved at once; move one at a time.")
def moves_all_at_once(f, x, step):
    return np.full(x.shape, (f(x + step) - f(x - step)) / (2 * step))


@wrong(
    "8.1",
    loses=ALL,
    hint="An entry that was moved is not put back before the next one moves.",
)
def does_not_put_back(f, x, step):
    gradient, moved = np.zeros(x.shape), x.copy()
    for index in np.ndindex(x.shape):
        before = f(moved)
        moved[index] += 2 * step
        gradient[index] = (f(moved) - before) / (2 * step)
    return gradient


@wrong(
    "8.1",
    loses=("a table of numbers",),
    hint="The gradient is flat; it has the shape of x.",
)
def flat(f, x, step):
    return differences(f, x, step, step, 2 * step).ravel()


@wrong(
    "8.1",
    loses=("a long step",),
    hint="The step is fixed, or not used for both ends and the divisor; it is an argument.",
)
def fixed_step(f, x, step):
    return differences(f, x, 1e-4, 1e-4, 2e-4)


@wrong(
    "8.1",
    loses=("a long step",),
    hint="The two ends lie h apart; each of them is moved by the whole step h.",
)
def half_steps(f, x, step):
    return differences(f, x, step / 2, step / 2, step)


@wrong(
    "8.1",
    loses=("a long step",),
    hint="The step grows with the entry it moves; every entry moves by h.",
)
def relative_steps(f, x, step):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        own = step * abs(x[index])
        gradient[index] = differences(f, x, own, own, 2 * own)[index]
    return gradient
