"""Wrong answers to task 4.4."""

import numpy as np

from minideeplab.grading import wrong


@wrong(
    "4.4",
    loses=("fc6: a quarter of the filters, rate 4", "a flat filter", "channels by another step"),
    hint="The taps that stay are further apart, so the rate grows with the step.",
)
def keeps_the_rate(weight, bias, rate, filter_step, channel_step, tap_step):
    small = weight[::filter_step, ::channel_step, ::tap_step, ::tap_step]
    return small, bias[::filter_step], rate


@wrong(
    "4.4",
    loses=("fc6: a quarter of the filters, rate 4", "a flat filter", "channels by another step"),
    hint="The taps in the middle are kept; keep every tap_step-th, so that the extent stays.",
)
def keeps_the_middle(weight, bias, rate, filter_step, channel_step, tap_step):
    kh, kw = (-(-k // tap_step) for k in weight.shape[2:])
    top, left = (weight.shape[2] - kh) // 2, (weight.shape[3] - kw) // 2
    small = weight[::filter_step, ::channel_step, top : top + kh, left : left + kw]
    return small, bias[::filter_step], rate * tap_step


@wrong(
    "4.4",
    loses=("fc6: a quarter of the filters, rate 4", "a flat filter", "channels by another step"),
    hint="Channels are cut by the filters' step; they have a step of their own.",
)
def cuts_channels_like_filters(weight, bias, rate, filter_step, channel_step, tap_step):
    small = weight[::filter_step, ::filter_step, ::tap_step, ::tap_step]
    return small, bias[::filter_step], rate * tap_step


@wrong(
    "4.4",
    loses=("fc6: a quarter of the filters, rate 4", "fc7", "a flat filter",
           "channels by another step"),
    hint="A filter that goes takes its bias with it.",
)  # fmt: skip
def keeps_every_bias(weight, bias, rate, filter_step, channel_step, tap_step):
    small = weight[::filter_step, ::channel_step, ::tap_step, ::tap_step]
    return small, bias, rate * tap_step


@wrong(
    "4.4",
    loses=("fc6: a quarter of the filters, rate 4", "fc7", "a flat filter",
           "channels by another step"),
    hint="The first filters are kept, as many as should stay; keep every filter_step-th.",
)  # fmt: skip
def keeps_the_first(weight, bias, rate, filter_step, channel_step, tap_step):
    count = -(-len(weight) // filter_step)
    small = weight[:count, ::channel_step, ::tap_step, ::tap_step]
    return small, bias[:count], rate * tap_step


@wrong(
    "4.4",
    loses=("fc6: a quarter of the filters, rate 4", "a flat filter", "channels by another step"),
    hint="The weights that stay are made larger; they are kept as they are.",
)
def makes_up_for_lost_taps(weight, bias, rate, filter_step, channel_step, tap_step):
    small = weight[::filter_step, ::channel_step, ::tap_step, ::tap_step]
    share = np.prod(weight.shape[2:]) / np.prod(small.shape[2:])
    return small * share, bias[::filter_step], rate * tap_step


@wrong(
    "4.4",
    loses=("fc6: a quarter of the filters, rate 4", "fc7", "a flat filter",
           "channels by another step"),
    hint="The step is added to the rate; taps that are s times as far apart have s times the rate.",
)  # fmt: skip
def adds_to_the_rate(weight, bias, rate, filter_step, channel_step, tap_step):
    small = weight[::filter_step, ::channel_step, ::tap_step, ::tap_step]
    return small, bias[::filter_step], rate + tap_step
