"""Wrong answers to task 2.1."""

from minideeplab.grading import wrong


@wrong(
    "2.1",
    loses=(
        "rate 4",
        "padding",
        "stride 2, one position left over",
        "stride 3, padding and rate",
        "the kernel just fits",
        "the kernel does not fit",
        "it fits with its padding only",
    ),
    hint="The rate is not used: the kernel covers more than k values when its taps lie apart.",
)
def ignores_rate(n, k, stride, padding, rate):
    return max(0, (n + 2 * padding - k) // stride + 1)


@wrong(
    "2.1",
    loses=("rate 4", "padding", "stride 3, padding and rate", "the kernel just fits"),
    hint="The effective size is not k times the rate: behind the last tap there are no holes.",
)
def holes_behind_the_last_tap(n, k, stride, padding, rate):
    room = n + 2 * padding - k * rate
    return 0 if room < 0 else room // stride + 1


@wrong(
    "2.1",
    loses=("padding", "stride 3, padding and rate"),
    hint="The padding is on both sides, so it counts twice.",
)
def pads_one_side(n, k, stride, padding, rate):
    room = n + padding - (k - 1) * rate - 1
    return 0 if room < 0 else room // stride + 1


@wrong(
    "2.1",
    loses=("the kernel does not fit",),
    hint="A kernel that does not fit once has no output; the count cannot be negative.",
)
def negative_count(n, k, stride, padding, rate):
    return (n + 2 * padding - (k - 1) * rate - 1) // stride + 1


@wrong(
    "2.1",
    loses=(
        "stride 2, one position left over",
        "stride 3, padding and rate",
        "it fits with its padding only",
    ),
    hint="Only whole steps count: round the number of steps down, not up.",
)
def rounds_up(n, k, stride, padding, rate):
    room = n + 2 * padding - (k - 1) * rate - 1
    return 0 if room < 0 else -(-room // stride) + 1


@wrong(
    "2.1",
    loses=(
        "rate 1",
        "rate 4",
        "padding",
        "stride 2, one position left over",
        "stride 3, padding and rate",
        "the kernel just fits",
        "it fits with its padding only",
    ),
    hint="One position is missing: position 0 counts, too.",
)
def forgets_position_0(n, k, stride, padding, rate):
    return max(0, (n + 2 * padding - (k - 1) * rate - 1) // stride)


@wrong(
    "2.1",
    loses=("one value too few, stride 3",),
    hint="Division rounds towards zero here: a little room too few is taken for room for one step.",
)
def rounds_towards_zero(n, k, stride, padding, rate):
    return max(0, int((n + 2 * padding - (k - 1) * rate - 1) / stride) + 1)


@wrong(
    "2.1",
    loses=("it fits with its padding only",),
    hint="Whether the kernel fits is asked without the padding; it may lie on the zeros, too.",
)
def fits_without_padding(n, k, stride, padding, rate):
    effective = (k - 1) * rate + 1
    return 0 if n < effective else (n + 2 * padding - effective) // stride + 1


@wrong(
    "2.1",
    loses=("stride 2, one position left over",),
    hint="The steps are rounded to the nearest number; only whole steps count.",
)
def rounds_to_the_nearest(n, k, stride, padding, rate):
    room = n + 2 * padding - (k - 1) * rate - 1
    return 0 if room < 0 else round(room / stride) + 1
