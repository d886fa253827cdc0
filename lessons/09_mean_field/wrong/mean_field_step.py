"""Wrong answers to task 9.4."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def softmax(scores, axis=0):
    """Normalise exp(scores)."""
    p = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return p / p.sum(axis=axis, keepdims=True)


@wrong(
    "9.4",
    loses=ALL,
    hint="The energies enter the softmax with their own sign; low energies are probable.",
)
def wrong_sign(q, unary, kernel, mu):
    return softmax(unary + mu @ (q @ kernel.T))


@wrong(
    "9.4",
    loses=ALL,
    hint="The message has the wrong sign against the unary: mu is a price and adds to the energy.",
)
def rewards_disagreement(q, unary, kernel, mu):
    return softmax(-unary + mu @ (q @ kernel.T))


@wrong(
    "9.4",
    loses=ALL,
    hint="The softmax runs over the pixels; it is the labels of a pixel that sum to 1.",
)
def normalises_over_pixels(q, unary, kernel, mu):
    return softmax(-unary - mu @ (q @ kernel.T), axis=1)


@wrong(
    "9.4",
    loses=("any prices",),
    hint="Potts' model is taken for granted: mix the filtered labels by the whole matrix mu.",
)
def only_potts(q, unary, kernel, mu):
    return softmax(-unary + mu[0, 1] * (q @ kernel.T))


@wrong(
    "9.4",
    loses=("a kernel divided by its row sums",),
    hint="The kernel is used the wrong way round: pixel i hears j with k[i, j]; row i, not column.",
)
def kernel_transposed(q, unary, kernel, mu):
    return softmax(-unary - mu @ (q @ kernel))


@wrong(
    "9.4",
    loses=("large energies",),
    hint="exp underflows for large energies: take the smallest energy of each pixel off first.",
)
def underflows(q, unary, kernel, mu):
    with np.errstate(all="ignore"):
        p = np.exp(-unary - mu @ (q @ kernel.T))
        return p / p.sum(axis=0)


@wrong(
    "9.4",
    loses=ALL,
    hint="The unary is forgotten: without it every step drifts further from the network's scores.",
)
def forgets_the_unary(q, unary, kernel, mu):
    return softmax(-mu @ (q @ kernel.T))


@wrong(
    "9.4",
    loses=ALL,
    hint="The step begins from log q where the unary belongs: U stays the same in every step.",
)
def unary_from_q(q, unary, kernel, mu):
    return softmax(np.log(q) - mu @ (q @ kernel.T))
