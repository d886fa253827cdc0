"""How far apart the cores lie: the time of a word from one to the other.

Virtual machines are moved between cores that share their last cache and cores that do not, within
seconds, and processors of several chiplets have both. Kernels that pass much between threads are
slower in the second state, so a benchmark says in which it ran. Every read pauses; on Intel's
processors that adds up to 40 ns.
"""

from __future__ import annotations

import math
import os
import threading
import time

from minideeplab.backends.numba_cpu.runtime.atomics import read, swap
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel import thread_count
from minideeplab.backends.numba_cpu.runtime.thread_pool import fresh_counters

BURSTS, WORDS = 20, 1000  # the fastest burst counts: others were interrupted
LIMIT = 1.0  # seconds of all bursts, on a machine that is busy with other processes
PATIENCE = 2_000_000  # reads before a burst is given up: some tens of milliseconds
NEAR, FAR = 90, 130  # nanoseconds: below, the cores share their last cache; above, they do not


@jit
def _await(counters, value):
    for _ in range(PATIENCE):
        if read(counters, 0) == value:
            return True
    return False


@jit
def _send(counters):
    """Send WORDS words, each after the reply to the one before; False if there was none."""
    for word in range(1, 2 * WORDS, 2):
        swap(counters, 0, word)
        if not _await(counters, word + 1):
            return False
    return True


@jit
def _reply(counters):
    for word in range(1, 2 * WORDS, 2):
        if not _await(counters, word):
            return
        swap(counters, 0, word + 1)


def latency() -> float | None:
    """Return the nanoseconds of a word from the first core of this process to the second.

    None where threads cannot be bound to cores, where there is one core, where Numba does not
    compile, or if no burst was completed.
    """
    if not hasattr(os, "sched_setaffinity") or thread_count() < 2:
        return None
    allowed = os.sched_getaffinity(0)
    here, there = sorted(allowed)[:2]
    try:
        os.sched_setaffinity(0, {here})
        end, bursts = time.perf_counter() + LIMIT, []
        while len(bursts) < BURSTS and (not bursts or time.perf_counter() < end):
            bursts.append(_burst(there))
    finally:
        os.sched_setaffinity(0, allowed)
    return min(bursts) / (2 * WORDS) * 1e9 if math.isfinite(min(bursts)) else None


def describe(before: float | None, after: float | None) -> str:
    """Return the state in words, with both measurements: "near (31, 30 ns)"."""
    if before is None or after is None:
        return "unknown"
    states = {_state(value) for value in (before, after)}
    return f"{states.pop() if len(states) == 1 else 'moved'} ({before:.0f}, {after:.0f} ns)"


def _state(nanoseconds: float) -> str:
    return "near" if nanoseconds < NEAR else "far" if nanoseconds > FAR else "between"


def _burst(core: int) -> float:
    """Return the seconds of WORDS words to a thread on ``core`` and back, infinite if given up."""
    counters = fresh_counters()

    def reply() -> None:
        os.sched_setaffinity(0, {core})  # of this thread
        _reply(counters)

    thread = threading.Thread(target=reply)
    thread.start()
    start = time.perf_counter()
    done = _send(counters)
    seconds = time.perf_counter() - start
    thread.join()
    return seconds if done else math.inf
