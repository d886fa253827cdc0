"""Wrong answers to task 5.3."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def right(affine, shape):
    """Return the right answer."""
    offset = affine(np.zeros(shape)).ravel()
    units = np.eye(int(np.prod(shape)))
    return np.stack([affine(u.reshape(shape)).ravel() - offset for u in units], axis=1), offset


@wrong(
    "5.3",
    loses=ALL,
    hint="The matrix is transposed: what becomes of a unit vector is a column, not a row.",
)
def rows_instead_of_columns(affine, shape):
    matrix, offset = right(affine, shape)
    return matrix.T.copy(), offset


@wrong(
    "5.3",
    loses=("running sums and a bias", "an image and a bias"),
    hint="The offset is in every column: take off what becomes of zero.",
)
def offset_in_the_columns(affine, shape):
    matrix, offset = right(affine, shape)
    return matrix + offset[:, None], offset


@wrong(
    "5.3",
    loses=("running sums and a bias", "an image and a bias"),
    hint="The function is taken to be linear: what becomes of zero is its offset b.",
)
def no_offset(affine, shape):
    matrix, offset = right(affine, shape)
    return matrix + offset[:, None], 0 * offset


@wrong(
    "5.3",
    loses=ALL,
    hint="All inputs are 1 at once; one at a time shows what each of them does.",
)
def all_at_once(affine, shape):
    matrix, offset = right(affine, shape)
    return np.repeat(matrix.sum(axis=1, keepdims=True), matrix.shape[1], axis=1), offset


@wrong(
    "5.3",
    loses=(
        "differences",
        "running sums and a bias",
        "every value twice",
        "every third value",
        "an image",
        "an image and a bias",
    ),
    hint="The inputs are changed in the wrong order: the first column belongs to the first input.",
)
def backwards(affine, shape):
    matrix, offset = right(affine, shape)
    return matrix[:, ::-1].copy(), offset


@wrong(
    "5.3",
    loses=("an image", "an image and a bias"),
    hint="The columns of an image are counted down its columns; read images row by row.",
)
def images_by_columns(affine, shape):
    matrix, offset = right(affine, shape)
    order = np.arange(matrix.shape[1]).reshape(shape).T.ravel()
    return matrix[:, order], offset


@wrong(
    "5.3",
    loses=("an image", "an image and a bias"),
    hint="The function is called with a flat vector; it takes an array of the given shape.",
)
def calls_with_a_flat_vector(affine, shape):
    return right(lambda x: affine(x.ravel()) if len(shape) > 1 else affine(x), shape)
