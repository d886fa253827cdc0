"""The team of threads: every task once, the first error raised, BLAS as it was."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minideeplab.backends.numba_cpu.runtime import parallel as threads
from minideeplab.backends.numba_cpu.runtime.atomics import APART, BUSY, claim
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel_kernel import together
from minideeplab.backends.numba_cpu.runtime.thread_pool import Team, closed, fresh_counters


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
    while (index := claim(counters)) < count:
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
        for _ in range(5):
            claim(counters)
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


def test_closing_a_round_waits_for_those_at_work_but_not_for_ever():
    counters = fresh_counters()
    assert closed(counters)
    counters[BUSY * APART] = 1
    assert not closed(counters)


@together
def _note(first, last, me, done, who):
    for index in range(first, last):
        done[index] += 1
        who[me] += 1
        value = 1.0
        for _ in range(500):  # some microseconds, in which the others come too
            value = np.sqrt(value + 1)
        who[me] += value < 0


@pytest.mark.parametrize(("length", "step"), [(0, 3), (1, 3), (3, 3), (7, 3), (1000, 1)])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_piece_of_a_round_is_done_once(monkeypatch, length, step, count):
    monkeypatch.setattr(threads, "thread_count", lambda: count)
    done, who = np.zeros(length, int), np.zeros(8, int)
    for _ in range(3):
        threads.in_pieces(_note, length, done, who, step=step)
    assert (done == 3).all() and who.sum() == 3 * length and not who[count:].any()


def test_helpers_that_sleep_are_woken(team):
    for pause in (0, 0, 0.05, 0.05):
        time.sleep(pause)
        done, who = np.zeros(5000, int), np.zeros(3, int)
        assert team.run(_note, 2, 5000, 1, done, who)
        assert (done == 1).all() and (who > 0).sum() > 1


def test_no_more_helpers_take_part_in_a_round_than_are_wanted(team):
    for _ in range(20):
        done, who = np.zeros(300, int), np.zeros(3, int)
        assert team.run(_note, 1, 300, 1, done, who)
        assert (who > 0).sum() <= 2


@together
def _fail_late(first, last, me, limit):
    if first >= limit:
        raise ValueError


@pytest.mark.parametrize("count", [1, 2])
def test_a_kernel_that_fails_is_an_error(monkeypatch, count):
    monkeypatch.setattr(threads, "thread_count", lambda: count)
    for _ in range(20):
        with pytest.raises(RuntimeError, match="a kernel failed"):
            threads.in_pieces(_fail_late, 100, 50, step=1)
        threads.in_pieces(_fail_late, 100, 100, step=1)


def test_compiled_and_other_work_take_turns(team):
    for _ in range(200):
        done, who, also = np.zeros(30, int), np.zeros(3, int), []
        assert team.run(_note, 2, 30, 1, done, who)
        assert team.do(lambda counters, also=also: also.extend(_claimed(counters, 30)), 2)
        assert (done == 1).all() and sorted(also) == list(range(30))


def _claimed(counters, count):
    while (index := claim(counters)) < count:
        yield index


def test_many_threads_may_run_kernels_at_once():
    results = [np.zeros(40, int) for _ in range(6)]

    def call(done):
        for _ in range(100):
            threads.in_pieces(_note, 40, done, np.zeros(64, int), step=1)

    callers = [threading.Thread(target=call, args=(done,)) for done in results]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((done == 100).all() for done in results)


def test_a_round_is_found_on_disk_again(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    for hits in ("0", "1"):
        command = [sys.executable, "-c", _COMPILES]
        answer = subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        )
        assert answer.stdout.split() == [hits]


_COMPILES = """
import numpy as np
from minideeplab.backends.numba_cpu import activation
activation.relu(np.zeros(9, np.float32))
print(sum(activation._relu.run.stats.cache_hits.values()))
"""


def test_kernels_run_uncompiled_for_debugging():
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", _UNCOMPILED]
    answer = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert answer.stdout.split() == ["2", "[0.", "1.]"]


_UNCOMPILED = """
import numpy as np
from minideeplab.backends.numba_cpu import activation
from minideeplab.backends.numba_cpu.runtime import parallel as threads
done = []
threads.parallel_for(done.append, 2)
print(len(done), activation.relu(np.array([-1, 1], np.float32)))
"""


def test_a_program_ends_while_helpers_wait_or_sleep():
    for pause in ("0", "0.05"):
        command = [sys.executable, "-c", _ENDS, pause]
        subprocess.run(command, check=True, timeout=60)


_ENDS = """
import sys, time
from minideeplab.backends.numba_cpu.runtime import parallel as threads
threads.parallel_for(lambda _: None, 9)
time.sleep(float(sys.argv[1]))
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="not told here")
def test_helpers_keep_off_the_callers_core_and_leave_its_own_choice_alone():
    before = os.sched_getaffinity(0)
    team = Team(2)
    team.do(lambda counters: None, 2)
    assert os.sched_getaffinity(0) == before
    if len(before) > 1:
        for helper in team.helpers:
            assert os.sched_getaffinity(helper.native_id) == before - {team.left}


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


def test_every_thread_has_a_room(monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 3)
    assert threads.rooms("test", (4, 16), np.float32).shape == (3, 4, 16)
