"""Wrong answers to task 4.5."""

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def walk(layers, move, start=0.0):
    """Walk up with another rule for the move: move(jump, kernel, stride, rate, padding)."""
    first, jump = start, 1
    for kernel, stride, rate, padding in layers:
        first += move(jump, kernel, stride, rate, padding)
        jump *= stride
    return first, jump


@wrong(
    "4.5",
    loses=(
        "two 2 × 2 windows",
        "filters without padding",
        "rate 4, padding 2",
        "VGG-16",
        "too much padding",
    ),
    hint="A layer moves the grid by steps of its own input, which are a jump apart.",
)
def ignores_the_jump(layers):
    return walk(layers, lambda j, k, s, r, m: (k - 1) * r / 2 - m)


@wrong(
    "4.5",
    loses=("two 2 × 2 windows", "filters without padding", "rate 4, padding 2", "VGG-16",
           "too much padding"),
    hint="A layer's own stride must not count in its own move: update the jump afterwards.",
)  # fmt: skip
def jump_too_early(layers):
    return walk(layers, lambda j, k, s, r, m: j * s * ((k - 1) * r / 2 - m))


@wrong(
    "4.5",
    loses=("rate 4, padding 2", "VGG-16", "DeepLab", "too much padding"),
    hint="The padding is left out; it moves the grid back.",
)
def ignores_the_padding(layers):
    return walk(layers, lambda j, k, s, r, m: j * (k - 1) * r / 2)


@wrong(
    "4.5",
    loses=("rate 4, padding 2", "DeepLab"),
    hint="The rate is not used: the centre of a spread filter is further from its first tap.",
)
def ignores_the_rate(layers):
    return walk(layers, lambda j, k, s, r, m: j * ((k - 1) / 2 - m))


@wrong(
    "4.5",
    loses=("two 2 × 2 windows", "rate 4, padding 2", "VGG-16", "too much padding"),
    hint="The centre of an even window lies between two pixels; do not round.",
)
def rounds_down(layers):
    return walk(layers, lambda j, k, s, r, m: float(j * ((k - 1) * r // 2 - m)))


@wrong(
    "4.5",
    loses=("two 2 × 2 windows", "filters without padding", "rate 4, padding 2", "VGG-16",
           "DeepLab", "too much padding"),
    hint="This is the first pixel that a score sees, not the centre of what it sees.",
)  # fmt: skip
def where_it_begins(layers):
    return walk(layers, lambda j, k, s, r, m: float(-j * m))


@wrong("4.5", loses=ALL, hint="Places are counted from 0: the first pixel sits at 0, not at 1/2.")
def begins_at_one_half(layers):
    return walk(layers, lambda j, k, s, r, m: j * ((k - 1) * r / 2 - m), start=0.5)


@wrong(
    "4.5",
    loses=("filters without padding", "rate 4, padding 2", "too much padding"),
    hint="The layers are walked from the last to the first; the first one reads the image.",
)
def walks_down(layers):
    return walk(layers[::-1], lambda j, k, s, r, m: j * ((k - 1) * r / 2 - m))
