"""Wrong answers to task 9.5."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def parts(q, unary, kernel, mu):
    """Return sum Q log Q, the mean unary and the mean of all pairs."""
    plogp = np.where(q > 0, q * np.log(np.maximum(q, 1e-300)), 0).sum()
    return plogp, (q * unary).sum(), np.einsum("li,lm,mj,ij->", q, mu, q, kernel) / 2


@wrong(
    "9.5",
    loses=("Potts, two labels", "any prices", "zeros in Q", "nobody knows"),
    hint="Each pair is counted twice: the sum is over i < j, a product of matrices is over all.",
)
def counts_pairs_twice(q, unary, kernel, mu):
    plogp, own, pairs = parts(q, unary, kernel, mu)
    return float(plogp + own + 2 * pairs)


@wrong(
    "9.5",
    loses=ALL,
    hint="The entropy has the wrong sign: F has + Q log Q, which is negative.",
)
def entropy_sign(q, unary, kernel, mu):
    plogp, own, pairs = parts(q, unary, kernel, mu)
    return float(own + pairs - plogp)


@wrong("9.5", loses=ALL, hint="The entropy is missing: this is only the average energy.")
def no_entropy(q, unary, kernel, mu):
    _, own, pairs = parts(q, unary, kernel, mu)
    return float(own + pairs)


@wrong(
    "9.5",
    loses=("zeros in Q",),
    hint="0 log 0 is NaN in NumPy; its limit is 0. Keep zeros away from the logarithm.",
)
def nan_at_zero(q, unary, kernel, mu):
    with np.errstate(all="ignore"):
        _, own, pairs = parts(q, unary, kernel, mu)
        return float((q * np.log(q)).sum() + own + pairs)


@wrong("9.5", loses=ALL, hint="The mean over pixels is returned; F is a sum over all of them.")
def averages(q, unary, kernel, mu):
    return float(sum(parts(q, unary, kernel, mu)) / q.shape[1])
