"""Wrong answers to task 6.1."""

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

BEYOND = ("wider than the rate, but not as high", "the rate is larger than the map")


def product(height, width, rate, count):
    """Multiply the mean numbers of rows and columns, count(n, rate)."""
    return count(height, rate) * count(width, rate)


@wrong(
    "6.1",
    loses=BEYOND,
    hint="A rate larger than the map leaves the middle tap; no tap counts less than nothing.",
)
def negative_counts(height, width, rate):
    return product(height, width, rate, lambda n, r: 1 + 2 * (n - r) / n)


@wrong(
    "6.1",
    loses=("rate 1 on a small map", "a training crop, rate 12", "higher than wide",
           "wider than the rate, but not as high"),
    hint="Only the taps on one side are counted; there is a row above and a row below.",
)  # fmt: skip
def one_side(height, width, rate):
    return product(height, width, rate, lambda n, r: 1 + max(0, n - r) / n)


@wrong("6.1", loses=ALL, hint="The middle row and column of taps are missing; they always fit.")
def without_the_middle(height, width, rate):
    return product(height, width, rate, lambda n, r: 2 * max(0, n - r) / n)


@wrong(
    "6.1",
    loses=("rate 1 on a small map", "higher than wide", "wider than the rate, but not as high"),
    hint="The map is taken to be square; rows depend on its height and columns on its width.",
)
def square_map(height, width, rate):
    return product(height, height, rate, lambda n, r: 1 + 2 * max(0, n - r) / n)


@wrong(
    "6.1",
    loses=("rate 1 on a small map", "a training crop, rate 12", "higher than wide",
           "wider than the rate, but not as high"),
    hint="Only positions where all nine taps fit are counted; elsewhere some of them fit, too.",
)  # fmt: skip
def all_or_the_middle(height, width, rate):
    whole = max(0, height - 2 * rate) * max(0, width - 2 * rate) / (height * width)
    return 1 + 8 * whole


@wrong(
    "6.1",
    loses=("rate 1 on a small map", "a training crop, rate 12", "higher than wide"),
    hint="Rows and columns are added; a tap is inside if its row and its column are.",
)
def adds(height, width, rate):
    rows, columns = (2 * max(0, n - rate) / n for n in (height, width))
    return 1 + rows + columns


@wrong("6.1", loses=ALL, hint="This is the share of the nine taps; their number is asked for.")
def returns_the_share(height, width, rate):
    return product(height, width, rate, lambda n, r: (1 + 2 * max(0, n - r) / n) / 3)
