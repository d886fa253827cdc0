"""Wrong answers to task 8.2."""

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


@wrong(
    "8.2",
    loses=ALL,
    hint="That is where the two errors are equal; the smallest sum is where E' is zero.",
)
def where_the_parts_are_equal(size, third, eps):
    return (6 * eps * size / third) ** (1 / 3)


@wrong(
    "8.2",
    loses=ALL,
    hint="A square root belongs to the one-sided difference; here E' leaves h to the third.",
)
def square_root(size, third, eps):
    return (3 * eps * size / third) ** 0.5


@wrong("8.2", loses=ALL, hint="The factor 3 from the derivative of h²/6 and of 1/h is missing.")
def forgets_the_factor(size, third, eps):
    return (eps * size / third) ** (1 / 3)


@wrong(
    "8.2",
    loses=("large numbers", "a wild function, single precision"),
    hint="Only eps is used; larger numbers F allow a longer step, a larger M asks for a shorter.",
)
def ignores_size_and_third(size, third, eps):
    return (3 * eps) ** (1 / 3)
