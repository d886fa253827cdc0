"""Wrong answers to task 12.5."""

import numpy as np
from given import launch
from numba import cuda

from minideeplab.grading import wrong


def summed(kernel, x, threads):
    """Launch a kernel that makes a sum for each block."""
    sums = np.zeros(-(-len(x) // threads))
    launch(kernel, len(sums), threads, x, sums)
    return sums


@wrong(
    "12.5",
    loses=("one block of 4", "two blocks of 8", "a last block that is not full"),
    hint="There is no barrier: a thread may read what its neighbour has not written yet.",
)
def no_barrier(x, threads):
    def kernel(x, sums):
        shared = cuda.shared.array(threads, np.float64)
        t, i = cuda.threadIdx.x, cuda.grid(1)
        shared[t] = x[i] if i < x.size else 0.0
        half = threads // 2
        while half > 0:
            if t < half:
                shared[t] += shared[t + half]
            half //= 2
        if t == 0:
            sums[cuda.blockIdx.x] = shared[0]

    return summed(kernel, x, threads)


@wrong(
    "12.5",
    loses=("one block of 4", "two blocks of 8", "a last block that is not full"),
    hint="The barrier is inside the if: some threads never come to it, and the others wait.",
)
def barrier_inside_the_if(x, threads):
    def kernel(x, sums):
        shared = cuda.shared.array(threads, np.float64)
        t, i = cuda.threadIdx.x, cuda.grid(1)
        shared[t] = x[i] if i < x.size else 0.0
        half = threads // 2
        while half > 0:
            if t < half:
                cuda.syncthreads()
                shared[t] += shared[t + half]
            half //= 2
        if t == 0:
            sums[cuda.blockIdx.x] = shared[0]

    return summed(kernel, x, threads)


@wrong(
    "12.5",
    loses=("a last block that is not full",),
    hint="In the last block some shared memory is never written; garbage is added. Write zeros.",
)
def leaves_garbage(x, threads):
    def kernel(x, sums):
        shared = cuda.shared.array(threads, np.float64)
        t, i = cuda.threadIdx.x, cuda.grid(1)
        if i < x.size:
            shared[t] = x[i]
        half = threads // 2
        while half > 0:
            cuda.syncthreads()
            if t < half:
                shared[t] += shared[t + half]
            half //= 2
        if t == 0:
            sums[cuda.blockIdx.x] = shared[0]

    return summed(kernel, x, threads)


@wrong(
    "12.5",
    loses=("two blocks of 8", "a last block that is not full", "a block of one thread"),
    hint="All blocks add to one total; each block has a sum of its own.",
)
def one_total(x, threads):
    def kernel(x, sums):
        if cuda.grid(1) == 0:
            total = 0.0
            for i in range(x.size):
                total += x[i]
            sums[0] = total

    return summed(kernel, x, threads)


@wrong(
    "12.5",
    loses=("one block of 4", "two blocks of 8", "a last block that is not full"),
    hint="Every thread of a block writes the block's sum; thread 0 alone should.",
)
def every_thread_writes(x, threads):
    def kernel(x, sums):
        shared = cuda.shared.array(threads, np.float64)
        t, i = cuda.threadIdx.x, cuda.grid(1)
        shared[t] = x[i] if i < x.size else 0.0
        half = threads // 2
        while half > 0:
            cuda.syncthreads()
            if t < half:
                shared[t] += shared[t + half]
            half //= 2
        cuda.syncthreads()
        sums[cuda.blockIdx.x] = shared[0]

    return summed(kernel, x, threads)


@wrong(
    "12.5",
    loses=("a last block that is not full",),
    hint="The last block reads beyond the end of x: a thread without an element loads a zero.",
)
def loads_beyond_the_end(x, threads):
    def kernel(x, sums):
        shared = cuda.shared.array(threads, np.float64)
        t = cuda.threadIdx.x
        shared[t] = x[cuda.grid(1)]
        half = threads // 2
        while half > 0:
            cuda.syncthreads()
            if t < half:
                shared[t] += shared[t + half]
            half //= 2
        if t == 0:
            sums[cuda.blockIdx.x] = shared[0]

    return summed(kernel, x, threads)
