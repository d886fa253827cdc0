"""The thread pool: every task runs once, the first error is raised, BLAS keeps its threads."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from minideeplab.backends.numba_cpu.runtime import parallel, scratch
from minideeplab.backends.numba_cpu.runtime.atomics import SPACING, claim
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_kernel
from minideeplab.backends.numba_cpu.runtime.thread_pool import (
    ACTIVE,
    ThreadPool,
    fresh_counters,
    try_join,
)


@pytest.mark.parametrize("count", [0, 1, 2, 97])
def test_every_task_runs_once(monkeypatch, count):
    monkeypatch.setattr(parallel, "thread_count", lambda: 4)
    done, lock = [], threading.Lock()

    def task(index):
        with lock:
            done.append(index)

    parallel.parallel_for(task, count)
    assert sorted(done) == list(range(count))


def test_an_error_in_a_task_is_raised(monkeypatch):
    monkeypatch.setattr(parallel, "thread_count", lambda: 2)

    def task(index):
        if index == 5:
            raise ValueError("task 5")

    with pytest.raises(ValueError, match="task 5"):
        parallel.parallel_for(task, 9)


@pytest.fixture
def pool():
    return ThreadPool(2)


def claims(counters, count, done):
    while (index := claim(counters)) < count:
        done.append(index)
        time.sleep(2e-3)  # releases the interpreter's lock, so that the workers join


def test_a_pool_shares_successive_work(pool):
    for pause in (0, 0, 0.05):  # spinning workers, and sleeping ones
        time.sleep(pause)
        done, who = [], set()

        def work(counters, done=done, who=who):
            who.add(threading.get_ident())
            claims(counters, 60, done)

        assert pool.run_python(work, 2)
        assert sorted(done) == list(range(60))
        assert len(who) == 3


def test_no_more_workers_join_than_have_slots(pool):
    who = set()

    def work(counters):
        who.add(threading.get_ident())
        claims(counters, 60, [])

    assert pool.run_python(work, 1)
    assert len(who) == 2


def test_the_error_of_a_worker_is_raised_by_the_caller(pool):
    caller = threading.get_ident()

    def work(counters):
        claims(counters, 60, [])
        if threading.get_ident() != caller:
            raise ValueError("in a worker")

    with pytest.raises(ValueError, match="in a worker"):
        pool.run_python(work, 2)
    assert pool.run_python(lambda counters: claims(counters, 3, []), 2)


def test_work_after_an_interrupt_runs_normally(pool):
    caller = threading.get_ident()

    def work(counters):
        for _ in range(5):
            claim(counters)
        if threading.get_ident() == caller:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run_python(work, 2)
    done = []
    assert pool.run_python(lambda counters: claims(counters, 4, done), 2)
    assert sorted(done) == [0, 1, 2, 3]


def test_nested_work_runs_in_its_caller():
    done = []

    def outer(index):
        parallel.parallel_for(lambda inner: done.append((index, inner)), 3)

    parallel.parallel_for(outer, 4)
    assert sorted(done) == [(i, j) for i in range(4) for j in range(3)]


def test_many_threads_may_call_at_once():
    results = [[] for _ in range(8)]

    def call(k):
        for _ in range(50):
            parallel.parallel_for(results[k].append, 5)

    callers = [threading.Thread(target=call, args=(k,)) for k in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(sorted(result) == sorted([*range(5)] * 50) for result in results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_its_own_pool():
    parallel.parallel_for(lambda _: None, 9)
    child = multiprocessing.get_context("fork").Process(
        target=parallel.parallel_for, args=(lambda _: None, 9)
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


def test_try_join_waits_for_active_workers_up_to_a_limit():
    counters = fresh_counters()
    assert try_join(counters)
    counters[ACTIVE * SPACING] = 1
    assert not try_join(counters)


@parallel_kernel
def _note(first, last, thread_id, done, who):
    for index in range(first, last):
        done[index] += 1
        who[thread_id] += 1
        value = 1.0
        for _ in range(500):  # some microseconds, in which the workers join
            value = np.sqrt(value + 1)
        who[thread_id] += value < 0


@pytest.mark.parametrize(("length", "step"), [(0, 3), (1, 3), (3, 3), (7, 3), (1000, 1)])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_piece_of_a_range_is_computed_once(monkeypatch, length, step, count):
    monkeypatch.setattr(parallel, "thread_count", lambda: count)
    done, who = np.zeros(length, int), np.zeros(8, int)
    for _ in range(3):
        parallel.parallel_range(_note, length, done, who, step=step)
    assert (done == 3).all() and who.sum() == 3 * length and not who[count:].any()


def test_sleeping_workers_are_woken(pool):
    for pause in (0, 0, 0.05, 0.05):
        time.sleep(pause)
        done, who = np.zeros(5000, int), np.zeros(3, int)
        assert pool.run(_note, 2, 5000, 1, done, who)
        assert (done == 1).all() and (who > 0).sum() > 1


def test_no_more_workers_join_a_kernel_than_have_slots(pool):
    for _ in range(20):
        done, who = np.zeros(300, int), np.zeros(3, int)
        assert pool.run(_note, 1, 300, 1, done, who)
        assert (who > 0).sum() <= 2


@parallel_kernel
def _fail_late(first, last, thread_id, limit):
    if first >= limit:
        raise ValueError


@pytest.mark.parametrize("count", [1, 2])
def test_a_kernel_that_fails_is_an_error(monkeypatch, count):
    monkeypatch.setattr(parallel, "thread_count", lambda: count)
    for _ in range(20):
        with pytest.raises(RuntimeError, match="a kernel failed"):
            parallel.parallel_range(_fail_late, 100, 50, step=1)
        parallel.parallel_range(_fail_late, 100, 100, step=1)


def test_compiled_and_python_work_alternate(pool):
    for _ in range(200):
        done, who, also = np.zeros(30, int), np.zeros(3, int), []
        assert pool.run(_note, 2, 30, 1, done, who)
        assert pool.run_python(lambda counters, also=also: also.extend(_claimed(counters, 30)), 2)
        assert (done == 1).all() and sorted(also) == list(range(30))


def _claimed(counters, count):
    while (index := claim(counters)) < count:
        yield index


def test_many_threads_may_run_kernels_at_once():
    results = [np.zeros(40, int) for _ in range(6)]

    def call(done):
        for _ in range(100):
            parallel.parallel_range(_note, 40, done, np.zeros(64, int), step=1)

    callers = [threading.Thread(target=call, args=(done,)) for done in results]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((done == 100).all() for done in results)


def test_parallel_kernels_are_loaded_from_the_disk_cache(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    for hits in ("0", "1"):
        command = [sys.executable, "-c", _COMPILES]
        result = subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        )
        assert result.stdout.split() == [hits]


_COMPILES = """
import numpy as np
from minideeplab.backends.numba_cpu import activation
activation.relu(np.zeros(9, np.float32))
print(sum(activation._relu.run.stats.cache_hits.values()))
"""


def test_kernels_run_uncompiled_for_debugging():
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", _UNCOMPILED]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert result.stdout.split() == ["2", "[0.", "1.]"]


_UNCOMPILED = """
import numpy as np
from minideeplab.backends.numba_cpu import activation
from minideeplab.backends.numba_cpu.runtime import parallel
done = []
parallel.parallel_for(done.append, 2)
print(len(done), activation.relu(np.array([-1, 1], np.float32)))
"""


def test_a_program_ends_while_workers_spin_or_sleep():
    for pause in ("0", "0.05"):
        command = [sys.executable, "-c", _ENDS, pause]
        subprocess.run(command, check=True, timeout=60)


_ENDS = """
import sys, time
from minideeplab.backends.numba_cpu.runtime import parallel
parallel.parallel_for(lambda _: None, 9)
time.sleep(float(sys.argv[1]))
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_workers_keep_off_the_callers_core_whose_affinity_stays():
    before = os.sched_getaffinity(0)
    pool = ThreadPool(2)
    pool.run_python(lambda counters: None, 2)
    assert os.sched_getaffinity(0) == before
    if len(before) > 1:
        for worker in pool.workers:
            assert os.sched_getaffinity(worker.native_id) == before - {pool.caller_core}


@pytest.mark.parametrize("shape", [0, 7, (3, 5), (2, 0)])
def test_aligned_memory_begins_with_a_cache_line(shape):
    array = scratch.aligned(shape, np.float32)
    assert not array.size or array.ctypes.data % 64 == 0
    assert array.shape == np.empty(shape).shape and array.dtype == np.float32


def test_there_are_no_more_threads_than_cores(monkeypatch):
    monkeypatch.setattr(parallel.numba.config, "NUMBA_NUM_THREADS", 1000)
    assert parallel.thread_count() <= os.cpu_count()
    monkeypatch.setattr(parallel.numba.config, "NUMBA_NUM_THREADS", 1)
    assert parallel.thread_count() == 1


def test_spans_cover_the_range():
    assert parallel.spans(7, 3) == [(0, 3), (3, 6), (6, 7)]
    assert parallel.spans(0, 3) == []


def test_scratch_is_used_again():
    first = scratch.scratch("test", (4, 8), np.float32)
    second = scratch.scratch("test", (2, 3), np.float64)
    assert np.shares_memory(first, second)
    assert second.shape == (2, 3) and second.dtype == np.float64


def test_every_thread_has_scratch(monkeypatch):
    monkeypatch.setattr(parallel, "thread_count", lambda: 3)
    assert scratch.per_thread_scratch("test", (4, 16), np.float32).shape == (3, 4, 16)
