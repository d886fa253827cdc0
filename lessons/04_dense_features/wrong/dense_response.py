"""Wrong answers to task 4.3."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def apply(x, kind, what, rate, stride=1):
    """Apply a layer at a rate and a stride."""
    if kind == "relu":
        return np.maximum(x, 0)
    taps = len(what) if kind == "conv" else what
    length = len(x) - (taps - 1) * rate
    pieces = np.stack([x[k * rate : k * rate + length : stride] for k in range(taps)])
    return what @ pieces if kind == "conv" else pieces.max(axis=0)


@wrong(
    "4.3",
    loses=("two filters", "a maximum behind a stride", "filter, ReLU, maximum, filter",
           "strides 2, 3 and 2"),
    hint="The strides are left out, but the taps behind them stay neighbours: spread them.",
)  # fmt: skip
def forgets_the_rates(x, layers):
    for kind, what, _ in layers:
        x = apply(x, kind, what, 1)
    return x


@wrong(
    "4.3",
    loses=("one filter", "two filters", "a maximum behind a stride",
           "filter, ReLU, maximum, filter", "strides 2, 3 and 2"),
    hint="A stride spreads the layers behind it; the layer that has it reads neighbours.",
)  # fmt: skip
def spreads_the_layer_itself(x, layers):
    rate = 1
    for kind, what, stride in layers:
        rate *= stride
        x = apply(x, kind, what, rate)
    return x


@wrong(
    "4.3",
    loses=("a maximum behind a stride", "strides 2, 3 and 2"),
    hint="Windows of a maximum are spread like filters; here they stay closed.",
)
def spreads_filters_only(x, layers):
    rate = 1
    for kind, what, stride in layers:
        x = apply(x, kind, what, rate if kind == "conv" else 1)
        rate *= stride
    return x


@wrong(
    "4.3",
    loses=("strides 2, 3 and 2",),
    hint="Rates multiply from stride to stride; here only the last one counts.",
)
def only_the_last_stride(x, layers):
    rate = 1
    for kind, what, stride in layers:
        x = apply(x, kind, what, rate)
        rate = stride if stride > 1 else rate
    return x


@wrong(
    "4.3",
    loses=ALL,
    hint="This is the network with its strides; it has outputs at some of the positions only.",
)
def keeps_the_strides(x, layers):
    for kind, what, stride in layers:
        x = apply(x, kind, what, 1, stride)
    return x


@wrong(
    "4.3",
    loses=("filter, ReLU, maximum, filter",),
    hint="The ReLU is left out; it works on each value by itself, whatever the rate.",
)
def forgets_the_relu(x, layers):
    rate = 1
    for kind, what, stride in layers:
        x = x if kind == "relu" else apply(x, kind, what, rate)
        rate *= stride
    return x


@wrong(
    "4.3",
    loses=("one filter", "two filters", "a maximum behind a stride",
           "filter, ReLU, maximum, filter", "strides 2, 3 and 2"),
    hint="The taps run backwards; equation (1) of lesson 2 reads forwards, unlike np.convolve.",
)  # fmt: skip
def flips(x, layers):
    rate = 1
    for kind, what, stride in layers:
        x = apply(x, kind, what[::-1] if kind == "conv" else what, rate)
        rate *= stride
    return x
