"""Wrong answers to task 12.3."""

import numpy as np
from given import launch
from numba import cuda

from minideeplab.grading import wrong


def gather(x, w, threads, place):
    """Convolve with a rule for where tap k of output p reads."""

    def kernel(x, w, y):
        p = cuda.grid(1)
        if p < y.size:
            for k in range(w.size):
                y[p] += w[k] * x[place(p, k)]

    y = np.zeros(len(x) - place(0, len(w) - 1))
    launch(kernel, -(-len(y) // threads), threads, x, w, y)
    return y


@wrong(
    "12.3",
    loses=("rate 3", "four taps, rate 2"),
    hint="The rate is not used: tap k of output p reads at p + r k.",
)
def ignores_rate(x, w, rate, threads):
    return gather(x, w, threads, lambda p, k: p + k)


@wrong(
    "12.3",
    loses=("rate 3", "four taps, rate 2", "one tap"),
    hint="The rate multiplies the output's place instead of the tap's: p + r k, not r p + k.",
)
def rate_at_the_output(x, w, rate, threads):
    y = np.zeros((len(x) - len(w)) // rate + 1)
    for p in range(len(y)):
        y[p] = w @ x[rate * p : rate * p + len(w)]
    return y


@wrong(
    "12.3",
    loses=("rate 1", "rate 3", "four taps, rate 2"),
    hint="Scattered without atomic additions: several threads add to one output, a race.",
)
def scatters(x, w, rate, threads):
    def kernel(x, w, rate, y):
        n = cuda.grid(1)
        if n < x.size:
            for k in range(w.size):
                p = n - rate * k
                if p >= 0 and p < y.size:
                    y[p] += w[k] * x[n]

    y = np.zeros(len(x) - (len(w) - 1) * rate)
    launch(kernel, -(-len(x) // threads), threads, x, w, rate, y)
    return y
