"""Wrong answers to task 11.3."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


@wrong("11.3", loses=ALL, hint="The filters are transposed: rows of w go with the first axis of U.")
def transposed(w):
    return np.einsum("ai,fcji,bj->abfc", G, w, G)


@wrong(
    "11.3",
    loses=("filters and channels",),
    hint="The last two axes are in the other order: (F, C), so that U V sums over channels.",
)
def channels_first(w):
    return np.einsum("ai,fcij,bj->abcf", G, w, G)


@wrong(
    "11.3", loses=ALL, hint="The filter is flipped; this is the transform of a true convolution."
)
def flipped(w):
    return np.einsum("ai,fcij,bj->abfc", G, w[:, :, ::-1, ::-1], G)
