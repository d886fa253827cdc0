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
    loses=(
        "Potts, two labels",
        "three labels",
        "any prices",
        "a kernel divided by its row sums",
        "large energies",
        "pixels of very different energies",
    ),
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
    loses=(
        "large energies",
        "pixels of very different energies",
        "labels of very different energies",
    ),
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


def shifted(q, unary, kernel, mu, shift):
    """Normalise after another shift of the energies."""
    energy = unary + mu @ (q @ kernel.T)
    with np.errstate(all="ignore"):
        p = np.exp(shift(energy) - energy)
        return p / p.sum(axis=0)


@wrong(
    "9.4",
    loses=("pixels of very different energies",),
    hint="One number is taken off the energies of all pixels; take off each pixel's own smallest "
    "energy, or a pixel far above it is 0/0.",
)
def one_shift_for_all(q, unary, kernel, mu):
    return shifted(q, unary, kernel, mu, lambda e: e.min())


@wrong(
    "9.4",
    loses=("labels of very different energies",),
    hint="What is taken off is not the smallest energy of the pixel, and exp overflows where its "
    "labels' energies are far apart.",
)
def shifts_by_the_largest(q, unary, kernel, mu):
    return shifted(q, unary, kernel, mu, lambda e: e.max(axis=0))


@wrong(
    "9.4",
    loses=(
        "Potts, two labels",
        "three labels",
        "any prices",
        "a kernel divided by its row sums",
        "large energies",
        "pixels of very different energies",
    ),
    hint="The pixels are updated one after the other, each with the new Q of those before it; (3) "
    "is for all at once, from the old Q.",
)
def one_pixel_after_another(q, unary, kernel, mu):
    q = q.copy()
    for i in range(q.shape[1]):
        q[:, i] = softmax(-unary - mu @ (q @ kernel.T))[:, i]
    return q


@wrong(
    "9.4",
    loses=(
        "Potts, two labels",
        "three labels",
        "any prices",
        "a kernel divided by its row sums",
        "large energies",
        "pixels of very different energies",
    ),
    hint="The compatibility mu is not used: the filtered Q of a label is added to its own energy.",
)
def no_compatibility(q, unary, kernel, mu):
    return softmax(-unary - q @ kernel.T)
