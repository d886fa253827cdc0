"""BLAS has one thread while a caller needs it, and its own number after the last one."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from minideeplab import functional as F
from minideeplab.backends.numba_cpu.runtime import parallel
from minideeplab.backends.numba_cpu.runtime.blas import one_blas_thread
from minideeplab.tensor import Tensor


@pytest.fixture(autouse=True, scope="module")
def loaded():
    """Have every BLAS loaded: compiling kernels loads SciPy's."""
    F.conv2d(np.ones((1, 4, 9, 9), np.float32), np.ones((4, 4, 3, 3), np.float32), stride=2)
    parallel.parallel_for(int, 1)


def blas_threads():
    return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]


def test_numpys_blas_has_one_thread_inside_and_its_own_number_after(monkeypatch):
    monkeypatch.setattr(parallel, "thread_count", lambda: 2)

    def blas_threads():
        return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]

    before, inside = blas_threads(), []
    with one_blas_thread():
        parallel.parallel_for(lambda _: inside.append(blas_threads()), 2)
    assert all(1 in numbers for numbers in inside)  # others (SciPy's) may have come later
    assert blas_threads() == before


class Visitor(threading.Thread):
    """A thread that enters the limit and leaves it when it is told to."""

    def __init__(self):
        super().__init__(daemon=True)
        self.inside, self.leave = threading.Event(), threading.Event()
        self.start()
        assert self.inside.wait(60)

    def run(self):
        with one_blas_thread():
            self.inside.set()
            self.leave.wait(60)

    def end(self):
        self.leave.set()
        self.join(60)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_limit_is_restored_whichever_thread_leaves_last(order):
    with threadpool_limits(2, user_api="blas"):  # even on one core
        before = blas_threads()
    if max(before) < 2:
        pytest.skip("BLAS has one thread on this machine")
    before = blas_threads()
    with one_blas_thread():
        visitors = [Visitor(), Visitor()]
        assert min(blas_threads()) == 1
    for position in order:
        assert min(blas_threads()) == 1
        visitors[position].end()
    assert blas_threads() == before
    Visitor().end()  # a thread that comes first and is gone
    with one_blas_thread():
        assert min(blas_threads()) == 1
    assert blas_threads() == before


def test_a_thread_that_limited_blas_and_lives_keeps_no_other_from_it():
    with threadpool_limits(2, user_api="blas"):  # this thread controls OpenBLAS
        before, seen = blas_threads(), []

        def run():
            with one_blas_thread():
                seen.append(min(blas_threads()))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert seen == [1] and blas_threads() == before


def test_gradients_of_a_strided_convolution_have_the_same_bits_in_every_thread():
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape, np.float32) for shape in ((1, 64, 65, 65), (64, 64, 3, 3)))
    found = []

    def run():
        weight = Tensor(w, requires_grad=True)
        F.conv2d(x, weight, stride=2, padding=1).sum().backward()
        found.append(weight.grad)

    with threadpool_limits(2, user_api="blas"):
        run()
        for _ in range(2):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
    for gradient in found[1:]:
        np.testing.assert_array_equal(gradient, found[0])
