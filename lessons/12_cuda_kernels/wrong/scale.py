"""Wrong answers to task 12.2."""

import numpy as np
from given import launch
from numba import cuda

from minideeplab.grading import wrong


def scaled(x, factor, threads, blocks):
    """Launch a right kernel on any number of blocks."""

    def kernel(x, factor, y):
        i = cuda.grid(1)
        if i < y.size:
            y[i] = factor * x[i]

    y = np.zeros(len(x))
    launch(kernel, blocks, threads, x, factor, y)
    return y


@wrong(
    "12.2",
    loses=("threads left over", "one block"),
    hint="The guard is missing or lets a thread through: the last of n elements has place n - 1, "
    "so thread n must do nothing.",
)
def no_guard(x, factor, threads):
    def kernel(x, factor, y):
        i = cuda.grid(1)
        y[i] = factor * x[i]

    y = np.zeros(len(x))
    launch(kernel, -(-len(x) // threads), threads, x, factor, y)
    return y


@wrong(
    "12.2",
    loses=("threads left over", "one block"),
    hint="Too few blocks: the number is rounded down, and the last elements stay zero.",
)
def too_few_blocks(x, factor, threads):
    return scaled(x, factor, threads, len(x) // threads)


@wrong(
    "12.2",
    loses=("whole blocks", "threads left over"),
    hint="The place in the block is taken for the place in the grid: all blocks do the same piece.",
)
def place_in_the_block(x, factor, threads):
    def kernel(x, factor, y):
        i = cuda.threadIdx.x
        if i < y.size:
            y[i] = factor * x[i]

    y = np.zeros(len(x))
    launch(kernel, -(-len(x) // threads), threads, x, factor, y)
    return y
