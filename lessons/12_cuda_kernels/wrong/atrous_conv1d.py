"""Wrong answers to task 12.3."""

import numpy as np
from given import launch
from numba import cuda

from minideeplab.grading import wrong


def gather(x, w, threads, place, size=None):
    """Convolve with a rule for where tap k of output p reads."""

    def kernel(x, w, y):
        p = cuda.grid(1)
        if p < y.size:
            for k in range(w.size):
                y[p] += w[k] * x[place(p, k)]

    y = np.zeros(len(x) - place(0, len(w) - 1) if size is None else size)
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
    def kernel(x, w, rate, y):
        p = cuda.grid(1)
        if p < y.size:
            total = 0.0
            for k in range(w.size):
                total += w[k] * x[rate * p + k]
            y[p] = total

    y = np.zeros((len(x) - len(w)) // rate + 1)
    launch(kernel, -(-len(y) // threads), threads, x, w, rate, y)
    return y


@wrong(
    "12.3",
    loses=("rate 1", "rate 3", "four taps, rate 2"),
    hint="The kernel reads beyond the end of x: there are N - (K-1) r outputs, and the threads "
    "behind the last one do nothing.",
)
def as_many_outputs_as_inputs(x, w, rate, threads):
    return gather(np.append(x, np.zeros(0)), w, threads, lambda p, k: p + rate * k, size=len(x))


@wrong(
    "12.3",
    loses=("rate 1", "rate 3", "four taps, rate 2"),
    hint="The kernel is flipped: tap k reads r k further on.",
)
def flips(x, w, rate, threads):
    return gather(x, w[::-1].copy(), threads, lambda p, k: p + rate * k)


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
