"""Wrong answers to task 6.3."""

import numpy as np
from given import atrous_conv2d

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

SEVERAL = ("two branches", "four branches, rates of ASPP-S", "features that are all zero")


def relu(x):
    """Clip at zero."""
    return np.maximum(x, 0)


def scores(x, branch, rate=None, first=relu, second=relu):
    """Return one branch's scores, with another rate or other non-linearities."""
    own, w6, b6, w7, b7, w8, b8 = branch
    hidden = first(atrous_conv2d(x, w6, b6, own if rate is None else rate))
    return atrous_conv2d(second(atrous_conv2d(hidden, w7, b7, 1)), w8, b8, 1)


@wrong("6.3", loses=ALL, hint="There is no ReLU behind fc6: the branch is one linear filter then.")
def no_relu_behind_fc6(x, branches):
    return sum(scores(x, branch, first=lambda h: h) for branch in branches)


@wrong("6.3", loses=ALL, hint="There is no ReLU behind fc7.")
def no_relu_behind_fc7(x, branches):
    return sum(scores(x, branch, second=lambda h: h) for branch in branches)


@wrong(
    "6.3",
    loses=("one branch", *SEVERAL),
    hint="The scores go through a ReLU; they may be negative.",
)
def relu_behind_the_scores(x, branches):
    return sum(relu(scores(x, branch)) for branch in branches)


@wrong("6.3", loses=SEVERAL, hint="The largest branch is kept; in ASPP the scores are added up.")
def keeps_the_largest(x, branches):
    return np.max([scores(x, branch) for branch in branches], axis=0)


@wrong("6.3", loses=SEVERAL, hint="The branches are averaged; in ASPP the scores are added up.")
def averages(x, branches):
    return np.mean([scores(x, branch) for branch in branches], axis=0)


@wrong("6.3", loses=SEVERAL, hint="Only one branch arrives; are the scores overwritten in a loop?")
def keeps_the_last(x, branches):
    return scores(x, branches[-1])


@wrong(
    "6.3",
    loses=("two branches", "four branches, rates of ASPP-S", "a rate larger than the map"),
    hint="The rates are not used: fc6 reads its direct neighbours in all the branches.",
)
def ignores_the_rate(x, branches):
    return sum(scores(x, branch, rate=1) for branch in branches)


@wrong(
    "6.3",
    loses=("two branches", "four branches, rates of ASPP-S"),
    hint="All branches have the rate of the first; each has its own.",
)
def one_rate_for_all(x, branches):
    return sum(scores(x, branch, rate=branches[0][0]) for branch in branches)


@wrong("6.3", loses=ALL, hint="A bias is missing; each of the three layers has one.")
def no_bias_in_fc6(x, branches):
    return sum(scores(x, (r, w6, 0 * b6, *rest)) for r, w6, b6, *rest in branches)


@wrong(
    "6.3",
    loses=SEVERAL,
    hint="The branches share the weights of the first; each has weights of its own.",
)
def shares_weights(x, branches):
    return sum(scores(x, (branch[0], *branches[0][1:])) for branch in branches)


@wrong("6.3", loses=ALL, hint="There is no ReLU at all; one stands behind fc6, another behind fc7.")
def no_relu(x, branches):
    return sum(scores(x, branch, first=lambda h: h, second=lambda h: h) for branch in branches)
