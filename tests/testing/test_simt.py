"""The checker of CUDA kernels: right kernels pass, and every planted bug is caught, every time."""

import numpy as np
import pytest
from numba import cuda, float64

from minideeplab.testing import simt

SIZE = 4


@cuda.jit(device=True)
def doubled(value):
    return value + value


def double(x, y, n):
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        y[i] = doubled(x[i])


def block_sum(x, total):
    shared = cuda.shared.array(SIZE, float64)
    t = cuda.threadIdx.x
    shared[t] = x[cuda.grid(1)]
    half = SIZE // 2
    while half:
        cuda.syncthreads()
        if t < half:
            shared[t] += shared[t + half]
        half //= 2
    if t == 0:
        cuda.atomic.add(total, 0, shared[0])


def no_guard(x, y):
    i = cuda.grid(1)
    y[i] = x[i]


def below_zero(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i - 1]


def plain_sum(x, total):
    total[0] += x[cuda.grid(1)]


def sum_across_blocks(x, total):
    if cuda.threadIdx.x == 0:
        total[0] += x[cuda.blockIdx.x]


def half_atomic(x, total):
    i = cuda.grid(1)
    if i == 0:
        total[0] = 0
    cuda.atomic.add(total, 0, x[i])


def no_barrier(x, y):
    shared = cuda.shared.array(SIZE, float64)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    y[t] = shared[SIZE - 1 - t]


def tree_without_barrier(x, y):
    shared = cuda.shared.array(SIZE, float64)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    cuda.syncthreads()
    half = SIZE // 2
    while half:
        if t < half:
            shared[t] += shared[t + half]
        half //= 2
    if t == 0:
        y[0] = shared[0]


def no_second_barrier(x, y):
    """The tile is filled again while others may still read it."""
    tile = cuda.shared.array(SIZE, float64)
    t = cuda.threadIdx.x
    total = 0.0
    for start in range(0, x.size, SIZE):
        tile[t] = x[start + t]
        cuda.syncthreads()
        for k in range(SIZE):
            total += tile[k]
    y[t] = total


def barrier_for_some(x, y):
    t = cuda.threadIdx.x
    if t < SIZE - 1:
        cuda.syncthreads()
    y[t] = x[t]


def two_barriers(x, y):
    t = cuda.threadIdx.x
    if t % 2:
        cuda.syncthreads()
    else:
        cuda.syncthreads()
    y[t] = x[t]


def early_return(x, y):
    t = cuda.threadIdx.x
    if t == 0:
        return
    cuda.syncthreads()
    y[t] = x[t]


def reads_nothing(x, y):
    shared = cuda.shared.array(SIZE, float64)
    y[cuda.threadIdx.x] = shared[cuda.threadIdx.x]


def same_output(x, y):
    y[0] = x[cuda.grid(1)]


def wrong_axes(x, y):
    y[cuda.grid(1), 0] = x[cuda.grid(1)]


PLANTED = [
    (no_guard, 2, 3, 5, "bounds"),
    (below_zero, 1, 4, 4, "bounds"),
    (plain_sum, 1, 4, 4, "race"),
    (plain_sum, 4, 1, 4, "race"),
    (sum_across_blocks, 3, 2, 6, "race"),
    (half_atomic, 1, 4, 4, "race"),
    (no_barrier, 1, 4, 4, "race"),
    (tree_without_barrier, 1, 4, 4, "race"),
    (no_second_barrier, 1, 4, 8, "race"),
    (barrier_for_some, 1, 4, 4, "barrier"),
    (two_barriers, 1, 4, 4, "barrier"),
    (early_return, 1, 4, 4, "barrier"),
    (reads_nothing, 1, 4, 4, "uninitialised"),
    (same_output, 1, 2, 4, "race"),
    (wrong_axes, 1, 1, 4, "bounds"),
]


@pytest.mark.parametrize("times", range(3))
@pytest.mark.parametrize("kernel, blocks, threads, size, kind", PLANTED)
def test_planted_bugs_are_caught_every_time(kernel, blocks, threads, size, kind, times):
    arrays = np.arange(1.0, size + 1), np.zeros(size)
    problems = simt.check(kernel, blocks, threads, arrays)
    assert [problem.kind for problem in problems] == [kind]


@pytest.mark.parametrize("blocks, threads", [(1, 1), (2, 3), (3, 4)])
def test_a_right_kernel_passes_and_computes(blocks, threads):
    x, y = np.arange(10.0), np.zeros(10)
    assert simt.check(double, blocks, threads, (x, y, 10)) == []
    np.testing.assert_array_equal(y, 2 * x)


def test_barriers_and_atomics_compute():
    x, total = np.arange(12.0), np.zeros(1)
    assert simt.check(block_sum, 3, SIZE, (x, total)) == []
    assert total[0] == x.sum()


def test_three_axes_of_blocks_and_threads():
    def place(y):
        t, b, size = cuda.threadIdx, cuda.blockIdx, cuda.blockDim
        y[b.z, b.y * size.y + t.y, b.x * size.x + t.x] = 1 + cuda.gridDim.x

    y = np.zeros((2, 6, 4))
    assert simt.check(place, (2, 3, 2), (2, 2), (y,)) == []
    assert (y == 3).all()


def test_a_problem_says_where_it_is():
    (problem,) = simt.check(no_guard, 2, 3, (np.ones(5), np.zeros(5)))
    assert str(problem) == (
        "bounds: x[5], shape (5,): thread 2 of block 1 goes beyond the end (read)"
    )
    (problem,) = simt.check(plain_sum, 1, 2, (np.ones(2), np.zeros(1)))
    assert "total[0]: in epoch 0 of block 0, thread 0 writes and thread 1" in str(problem)


def test_run_raises_with_the_kernels_name():
    with pytest.raises(simt.SimtError, match=r"same_output: race: y\[0\]"):
        simt.run(same_output, (1,), (2,), (np.ones(4), np.zeros(4)))


def test_what_the_kernel_raises_is_passed_on():
    def divides(x):
        cuda.syncthreads()
        x[0] = 1 // (cuda.gridDim.x - 1)

    with pytest.raises(ZeroDivisionError):
        simt.check(divides, 1, 2, (np.zeros(1),))
