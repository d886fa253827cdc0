"""The pool of threads: every task once, the first error raised, BLAS as it was."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minideeplab.backends.numba_cpu import threads


@pytest.mark.parametrize("count", [0, 1, 2, 97])
def test_every_task_runs_once(monkeypatch, count):
    monkeypatch.setattr(threads, "thread_count", lambda: 4)
    done, lock = [], threading.Lock()

    def task(index):
        with lock:
            done.append(index)

    threads.parallel_for(task, count)
    assert sorted(done) == list(range(count))


def test_an_error_in_a_task_is_raised(monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 2)

    def task(index):
        if index == 5:
            raise ValueError("task 5")

    with pytest.raises(ValueError, match="task 5"):
        threads.parallel_for(task, 9)


def test_numpys_blas_has_one_thread_inside_and_its_own_number_after(monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 2)

    def blas_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, inside = blas_threads(), []
    threads.parallel_for(lambda _: inside.append(blas_threads()), 2)
    assert all(1 in numbers for numbers in inside)  # others (SciPy's) may have come later
    assert blas_threads() == before


def test_spans_cover_the_range():
    assert threads.spans(7, 3) == [(0, 3), (3, 6), (6, 7)]
    assert threads.spans(0, 3) == []


def test_scratch_is_used_again():
    first = threads.scratch("test", (4, 8), np.float32)
    second = threads.scratch("test", (2, 3), np.float64)
    assert np.shares_memory(first, second)
    assert second.shape == (2, 3) and second.dtype == np.float64
