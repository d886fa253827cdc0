"""Wrong answers to task 8.2."""

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def error(h, size, bound, eps, central):
    """Return (h, E(h))."""
    truncation = h**2 / 6 if central else h / 2
    return h, truncation * bound + (1 if central else 2) * eps * size / h


def right(size, bound, eps, central):
    """Return the best step."""
    ratio = eps * size / bound
    return (3 * ratio) ** (1 / 3) if central else (4 * ratio) ** 0.5


@wrong(
    "8.2",
    loses=("all about 1, double precision", "large numbers", "a wild function, single precision"),
    hint="That is where the two errors are equal; the smallest sum is where E' is zero.",
)
def where_the_parts_are_equal(size, bound, eps, central):
    h = (6 * eps * size / bound) ** (1 / 3) if central else right(size, bound, eps, central)
    return error(h, size, bound, eps, central)


@wrong(
    "8.2",
    loses=("all about 1, double precision", "large numbers", "a wild function, single precision"),
    hint="A square root belongs to the one-sided difference; in the central one E' leaves h to the "
    "third.",
)
def square_root(size, bound, eps, central):
    h = (3 * eps * size / bound) ** 0.5 if central else right(size, bound, eps, central)
    return error(h, size, bound, eps, central)


@wrong(
    "8.2",
    loses=("one-sided", "one-sided, large numbers, a wild function"),
    hint="The one-sided difference gets the central one's step; its truncation grows with h, not "
    "with its square.",
)
def always_central(size, bound, eps, central):
    return error(right(size, bound, eps, True), size, bound, eps, central)


@wrong(
    "8.2",
    loses=("one-sided", "one-sided, large numbers, a wild function"),
    hint="The one-sided difference is divided by h, not by 2h: its rounding is 2 ε F / h.",
)
def one_sided_rounding_halved(size, bound, eps, central):
    if central:
        return error(right(size, bound, eps, central), size, bound, eps, central)
    h = (2 * eps * size / bound) ** 0.5
    return h, h * bound / 2 + eps * size / h


@wrong(
    "8.2", loses=ALL, hint="The numbers from the derivatives of h² / 6 and of h / 2 are missing."
)
def forgets_the_factor(size, bound, eps, central):
    h = (eps * size / bound) ** (1 / 3 if central else 0.5)
    return error(h, size, bound, eps, central)


@wrong(
    "8.2",
    loses=(
        "large numbers",
        "a wild function, single precision",
        "one-sided, large numbers, a wild function",
    ),
    hint="Only eps is used; larger numbers F allow a longer step, a larger M asks for a shorter.",
)
def ignores_size_and_bound(size, bound, eps, central):
    return error(right(1.0, 1.0, eps, central), size, bound, eps, central)


@wrong("8.2", loses=ALL, hint="E lacks the rounding error; it is the sum of both parts.")
def truncation_alone(size, bound, eps, central):
    h = right(size, bound, eps, central)
    return h, bound * (h**2 / 6 if central else h / 2)
