"""Wrong answers to task 4.4."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def cut(weight, bias, rate, kept, tap_step, after):
    """Return the right answer."""
    return weight[kept][:, :, ::tap_step, ::tap_step], bias[kept], rate * tap_step, after[:, kept]


@wrong(
    "4.4",
    loses=(
        "fc6: a quarter of the filters, rate 4",
        "a flat filter, drawn in any order",
        "a layer with taps behind",
    ),
    hint="The rate stays the same: taps that are further apart need a larger one to see as far.",
)
def keeps_the_rate(weight, bias, rate, kept, tap_step, after):
    small, short, _, behind = cut(weight, bias, rate, kept, tap_step, after)
    return small, short, rate, behind


@wrong(
    "4.4",
    loses=ALL,
    hint="The step is added to the rate; taps that are s times as far apart have s times the rate.",
)
def adds_to_the_rate(weight, bias, rate, kept, tap_step, after):
    small, short, _, behind = cut(weight, bias, rate, kept, tap_step, after)
    return small, short, rate + tap_step, behind


@wrong(
    "4.4",
    loses=ALL,
    hint="A filter that goes takes its bias with it.",
)
def keeps_every_bias(weight, bias, rate, kept, tap_step, after):
    small, _, new, behind = cut(weight, bias, rate, kept, tap_step, after)
    return small, bias, new, behind


@wrong(
    "4.4",
    loses=ALL,
    hint="The first filters are kept, as many as should stay; their numbers are in kept.",
)
def keeps_the_first(weight, bias, rate, kept, tap_step, after):
    return cut(weight, bias, rate, np.arange(len(kept)), tap_step, after)


@wrong(
    "4.4",
    loses=("a flat filter, drawn in any order", "a layer with taps behind"),
    hint="The filters are in their old order; they come in the order of kept.",
)
def keeps_the_old_order(weight, bias, rate, kept, tap_step, after):
    return cut(weight, bias, rate, np.sort(kept), tap_step, after)


@wrong(
    "4.4",
    loses=ALL,
    hint="The layer behind still reads all filters; those that are gone are channels of it.",
)
def leaves_the_layer_behind(weight, bias, rate, kept, tap_step, after):
    return *cut(weight, bias, rate, kept, tap_step, after)[:3], after


@wrong(
    "4.4",
    loses=ALL,
    hint="The layer behind loses filters; what goes there are channels, its second axis.",
)
def cuts_filters_behind(weight, bias, rate, kept, tap_step, after):
    return *cut(weight, bias, rate, kept, tap_step, after)[:3], after[kept % len(after)]


@wrong(
    "4.4",
    loses=(
        "fc6: a quarter of the filters, rate 4",
        "a flat filter, drawn in any order",
        "a layer with taps behind",
    ),
    hint="The weights that stay are made larger; they are kept as they are.",
)
def makes_up_for_lost_taps(weight, bias, rate, kept, tap_step, after):
    small, *rest = cut(weight, bias, rate, kept, tap_step, after)
    return small * np.prod(weight.shape[2:]) / np.prod(small.shape[2:]), *rest


@wrong(
    "4.4",
    loses=(
        "fc6: a quarter of the filters, rate 4",
        "a flat filter, drawn in any order",
        "a layer with taps behind",
    ),
    hint="Only the rows of taps are thinned out; columns go by the same step.",
)
def thins_rows_only(weight, bias, rate, kept, tap_step, after):
    _, *rest = cut(weight, bias, rate, kept, tap_step, after)
    return weight[kept][:, :, ::tap_step], *rest
