"""Wrong answers to task 5.3."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


@wrong(
    "5.3",
    loses=ALL,
    hint="The matrix is transposed: what becomes of a unit vector is a column, not a row.",
)
def rows_instead_of_columns(linear, size):
    return np.array([linear(unit) for unit in np.eye(size)])


@wrong(
    "5.3",
    loses=("differences", "running sums", "every value twice", "every third value", "the mean"),
    hint="All inputs are 1 at once; one at a time shows what each of them does.",
)
def all_at_once(linear, size):
    return np.stack([linear(np.ones(size))] * size, axis=1)


@wrong(
    "5.3",
    loses=("differences", "every value twice", "every third value", "the mean"),
    hint="The matrix is taken to be square; it has as many rows as the function gives values.",
)
def always_square(linear, size):
    matrix = np.zeros((size, size))
    for j, unit in enumerate(np.eye(size)):
        found = linear(unit)[:size]
        matrix[: len(found), j] = found
    return matrix


@wrong(
    "5.3",
    loses=("differences", "running sums", "every value twice", "every third value"),
    hint="The inputs are changed in the wrong order: the first column belongs to the first input.",
)
def backwards(linear, size):
    return np.stack([linear(unit) for unit in np.eye(size)[::-1]], axis=1)
