"""Wrong answers to task 9.2."""

import numpy as np

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def own(labels, unary):
    """Return the unary part."""
    return sum(unary[label, i] for i, label in enumerate(labels))


def pair_prices(labels, kernel, mu):
    """Return the price of each ordered pair, (N, N)."""
    return mu[np.ix_(labels, labels)] * kernel


@wrong(
    "9.2",
    loses=("Potts, four pixels", "any prices", "numbers on the diagonal"),
    hint="Each pair is counted twice, as (i, j) and as (j, i).",
)
def counts_pairs_twice(labels, unary, kernel, mu):
    prices = pair_prices(labels, kernel, mu)
    return float(own(labels, unary) + prices.sum() - np.trace(prices))


@wrong(
    "9.2",
    loses=("numbers on the diagonal",),
    hint="The diagonal takes part: nobody is paired with himself, whatever stands there.",
)
def pairs_with_itself(labels, unary, kernel, mu):
    return float(own(labels, unary) + np.triu(pair_prices(labels, kernel, mu)).sum())


@wrong(
    "9.2",
    loses=("any prices", "numbers on the diagonal"),
    hint="Only pairs of different labels are counted; equal labels may have a price in mu, too.",
)
def only_different_labels(labels, unary, kernel, mu):
    off = mu * (1 - np.eye(len(mu)))
    return float(own(labels, unary) + np.triu(pair_prices(labels, kernel, off), 1).sum())


@wrong("9.2", loses=ALL, hint="The unary energies of the pixels are missing.")
def forgets_the_unary(labels, unary, kernel, mu):
    return float(np.triu(pair_prices(labels, kernel, mu), 1).sum())


@wrong(
    "9.2",
    loses=ALL,
    hint="The unary energies of all labels are added; a pixel pays only for the label it has.",
)
def all_unaries(labels, unary, kernel, mu):
    return float(unary.sum() + np.triu(pair_prices(labels, kernel, mu), 1).sum())
