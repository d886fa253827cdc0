"""The team of threads: every task once, the first error raised, BLAS as it was."""

import multiprocessing
import os
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minideeplab.backends.numba_cpu import threads
from minideeplab.backends.numba_cpu.atomic import (
    BUSY,
    CLAIMED,
    ROUND,
    becomes_zero,
    change,
    claim,
    new_round,
)
from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.team import Team, fresh_counters


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
    with threads.one_blas_thread():
        threads.parallel_for(lambda _: inside.append(blas_threads()), 2)
    assert all(1 in numbers for numbers in inside)  # others (SciPy's) may have come later
    assert blas_threads() == before


@pytest.fixture
def team():
    return Team(2)


def claims(counters, count, done):
    while (index := change(counters, CLAIMED, 1)) < count:
        done.append(index)
        time.sleep(2e-3)  # without the interpreter's lock, so that the others come too


def test_a_team_shares_one_work_after_the_other(team):
    for pause in (0, 0, 0.05):  # helpers that watch, and helpers that went to sleep
        time.sleep(pause)
        done, who = [], set()

        def work(counters, done=done, who=who):
            who.add(threading.get_ident())
            claims(counters, 60, done)

        assert team.do(work, 2)
        assert sorted(done) == list(range(60))
        assert len(who) == 3


def test_no_more_helpers_come_than_are_wanted(team):
    who = set()

    def work(counters):
        who.add(threading.get_ident())
        claims(counters, 60, [])

    assert team.do(work, 1)
    assert len(who) == 2


def test_the_error_of_a_helper_is_raised_by_the_caller(team):
    caller = threading.get_ident()

    def work(counters):
        claims(counters, 60, [])
        if threading.get_ident() != caller:
            raise ValueError("in a helper")

    with pytest.raises(ValueError, match="in a helper"):
        team.do(work, 2)
    assert team.do(lambda counters: claims(counters, 3, []), 2)


def test_an_interrupted_work_leaves_nothing_behind(team):
    caller = threading.get_ident()

    def work(counters):
        change(counters, CLAIMED, 5)
        if threading.get_ident() == caller:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        team.do(work, 2)
    done = []
    assert team.do(lambda counters: claims(counters, 4, done), 2)
    assert sorted(done) == [0, 1, 2, 3]


def test_a_work_within_a_work_is_done_by_its_caller():
    done = []

    def outer(index):
        threads.parallel_for(lambda inner: done.append((index, inner)), 3)

    threads.parallel_for(outer, 4)
    assert sorted(done) == [(i, j) for i in range(4) for j in range(3)]


def test_many_threads_may_call_at_once():
    results = [[] for _ in range(8)]

    def call(k):
        for _ in range(50):
            threads.parallel_for(results[k].append, 5)

    callers = [threading.Thread(target=call, args=(k,)) for k in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(sorted(result) == sorted([*range(5)] * 50) for result in results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_a_team_of_its_own():
    threads.parallel_for(lambda _: None, 9)
    child = multiprocessing.get_context("fork").Process(
        target=threads.parallel_for, args=(lambda _: None, 9)
    )
    child.start()
    child.join(30)
    assert child.exitcode == 0


def test_counters_are_changed_by_one_thread_at_a_time():
    counters = fresh_counters()
    many = [threading.Thread(target=add_often, args=(counters,)) for _ in range(4)]
    for one in many:
        one.start()
    for one in many:
        one.join()
    assert counters[0] == 4 * 100_000


@jit
def add_often(counters):
    for _ in range(100_000):
        claim(counters)


def test_waiting_ends_when_the_counter_changes_or_it_takes_too_long():
    counters = fresh_counters()
    assert becomes_zero(counters, BUSY)
    change(counters, ROUND, 1)
    assert not new_round(counters, 0)  # nothing is claimed
    assert claim(counters) == 0 and change(counters, BUSY, 2) == 0
    assert new_round(counters, 0) and not new_round(counters, 1)
    assert not becomes_zero(counters, BUSY)


@pytest.mark.parametrize("shape", [0, 7, (3, 5), (2, 0)])
def test_aligned_memory_begins_with_a_cache_line(shape):
    array = threads.aligned(shape, np.float32)
    assert not array.size or array.ctypes.data % 64 == 0
    assert array.shape == np.empty(shape).shape and array.dtype == np.float32


def test_there_are_no_more_threads_than_cores(monkeypatch):
    monkeypatch.setattr(threads.numba.config, "NUMBA_NUM_THREADS", 1000)
    assert threads.thread_count() <= os.cpu_count()
    monkeypatch.setattr(threads.numba.config, "NUMBA_NUM_THREADS", 1)
    assert threads.thread_count() == 1


def test_spans_cover_the_range():
    assert threads.spans(7, 3) == [(0, 3), (3, 6), (6, 7)]
    assert threads.spans(0, 3) == []


def test_scratch_is_used_again():
    first = threads.scratch("test", (4, 8), np.float32)
    second = threads.scratch("test", (2, 3), np.float64)
    assert np.shares_memory(first, second)
    assert second.shape == (2, 3) and second.dtype == np.float64
