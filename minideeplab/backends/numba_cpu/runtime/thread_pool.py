"""The thread pool. Worker threads spin briefly between kernels, then sleep.

A network is some hundred short kernels. Waking a sleeping thread, or waiting for the interpreter's
lock, takes longer than many of them. A worker therefore stays in compiled code without the lock. It
polls a counter, takes part in every kernel that is started there, and sleeps when nothing has come
for some tenths of a millisecond. It returns to Python only to run Python work.

Each kernel is one generation. All counters are atomic; every thread sees these steps in order:

    caller: writes FUNCTION, ARGUMENT and SLOTS; OPEN = the generation; does its share;
            OPEN = 0; waits until ACTIVE is 0
    worker: sees a new generation in OPEN; ACTIVE += 1; if OPEN still holds it and a slot is free,
            does its share; ACTIVE -= 1

While a worker is active, FUNCTION and ARGUMENT cannot change: the caller waits for it before it
starts the next generation.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from minideeplab.backends.numba_cpu.runtime.atomics import CLAIMED, SPACING, add, call, read, swap
from minideeplab.backends.numba_cpu.runtime.jit import jit

Work = Callable[[np.ndarray], None]

ACTIVE = 1  # workers that take part now
OPEN, GENERATION = 2, 3  # the generation that workers may join, or 0; the last one started
SLOTS = 4  # workers that may still join
FUNCTION, ARGUMENT, FAILED = 5, 6, 7  # address of the function, or 0 for Python; errors in it
ACQUIRE, RELEASE = 8, 9  # addresses of the functions that acquire and release a lock
THREADS = 10  # from here on two for each thread: whether it sleeps, and the lock it sleeps on
SPIN_LIMIT = 20_000  # reads before a waiting thread sleeps: some tenths of a millisecond


def fresh_counters(threads: int = 1) -> np.ndarray:
    """Return zeroed counters: for one thread, those of a caller without workers."""
    return np.zeros((THREADS + 2 * threads) * SPACING, np.int64)


@jit
def start(counters, function, argument):
    """Start a generation: workers call ``function(argument, thread_id)``, an address."""
    swap(counters, FUNCTION, function)
    swap(counters, ARGUMENT, argument)
    swap(counters, CLAIMED, 0)
    swap(counters, FAILED, 0)
    slots = read(counters, SLOTS)
    swap(counters, OPEN, add(counters, GENERATION, 1) + 1)
    threads = (counters.size // SPACING - THREADS) // 2
    for thread_id in range(1, min(slots + 1, threads)):
        if swap(counters, THREADS + 2 * thread_id, 0) == 1:
            call(read(counters, RELEASE), read(counters, THREADS + 2 * thread_id + 1))


@jit
def try_join(counters):
    """Close the generation and spin until no worker is active; False at the spin limit."""
    swap(counters, OPEN, 0)
    for _ in range(SPIN_LIMIT):
        if read(counters, ACTIVE) == 0:
            return True
    return False


@jit
def join(counters):
    """Close the generation and wait for active workers; yield the core to preempted ones."""
    while not try_join(counters):
        call(read(counters, ACQUIRE), read(counters, THREADS + 1), 1, 0)


@jit
def _work_until_python(counters, thread_id, last):
    """Take part in compiled kernels. Return the generation of Python work, joined and active.

    ``last`` is the generation that this thread joined, or was too late for.
    """
    while True:
        last = _wait_for_generation(counters, thread_id, last)
        add(counters, ACTIVE, 1)
        if read(counters, OPEN) == last and add(counters, SLOTS, -1) > 0:
            function = read(counters, FUNCTION)
            if function == 0:
                return last
            if call(function, read(counters, ARGUMENT), thread_id) != 0:
                add(counters, FAILED, 1)
        add(counters, ACTIVE, -1)


@jit
def _wait_for_generation(counters, thread_id, last):
    """Spin, later sleep, until a generation other than ``last`` is open; return it.

    Python work counts from its first claim on: then its caller has released the interpreter's lock.
    """
    spins = 0
    while True:
        current = read(counters, OPEN)
        if current != 0 and current != last:
            if read(counters, FUNCTION) != 0 or read(counters, CLAIMED) > 0:
                return current
        spins += 1
        if spins == SPIN_LIMIT:
            _sleep(counters, thread_id, last)
            spins = 0


@jit
def _sleep(counters, thread_id, last):
    """Sleep until ``start`` wakes this thread, unless a generation opened in the meantime."""
    swap(counters, THREADS + 2 * thread_id, 1)
    current = read(counters, OPEN)
    if current == 0 or current == last or swap(counters, THREADS + 2 * thread_id, 0) == 0:
        call(read(counters, ACQUIRE), read(counters, THREADS + 2 * thread_id + 1), -1, 0)


@jit
def _deactivate(counters):
    add(counters, ACTIVE, -1)


class ThreadPool:
    """The calling thread and ``workers`` others; they run one piece of work at a time."""

    def __init__(self, workers: int):
        self.counters = fresh_counters(1 + workers)
        self.lock = threading.Lock()  # held by the thread whose work is running
        self.work: Work | None = None
        self.error: BaseException | None = None
        self.cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
        self.caller_core = -1  # the workers keep off it
        _create_locks(self.counters)
        self.workers = [
            threading.Thread(target=self._work, args=(k,), name="minideeplab", daemon=True)
            for k in range(1, 1 + workers)
        ]
        for worker in self.workers:
            worker.start()

    def run(self, kernel: Callable[..., None], slots: int, *args: object) -> bool:
        """Call ``kernel(counters, *args)``, a parallel kernel, with up to ``slots`` workers.

        Return False, without a call, if the pool is in use.
        """
        if not self.lock.acquire(blocking=False):
            return False
        try:
            self._prepare(slots)
            kernel(self.counters, *args)
        finally:
            self.lock.release()
        return True

    def run_python(self, work: Work, slots: int) -> bool:
        """Call ``work(counters)`` here and on up to ``slots`` workers; each ``claim``s its tasks.

        Return False, without a call, if the pool is in use. The first exception is raised here.
        """
        if not self.lock.acquire(blocking=False):
            return False
        try:
            self._prepare(slots)
            self.work, self.error = work, None
            try:
                start(self.counters, 0, 0)
                work(self.counters)
            finally:
                self._join()
                self.work = None
            if self.error is not None:
                raise self.error
        finally:
            self.lock.release()
        return True

    def _prepare(self, slots: int) -> None:
        self._join()  # after an interrupt
        if self.cores and (core := _LIBC.sched_getcpu()) != self.caller_core:
            self._keep_off(core)
        self.counters[SLOTS * SPACING] = slots

    def _join(self) -> None:
        while not try_join(self.counters):
            time.sleep(0)

    def _keep_off(self, core: int) -> None:
        """Bind the workers to cores other than the caller's, where Linux tends to wake them."""
        self.caller_core = core
        if others := self.cores - {core}:
            for worker in self.workers:
                with suppress(OSError):  # those cores were taken away from this process
                    os.sched_setaffinity(worker.native_id, others)

    def _work(self, thread_id: int) -> None:
        last = 0
        while True:
            last = _work_until_python(self.counters, thread_id, last)
            try:
                self.work(self.counters)
            except BaseException as error:
                self.error = self.error or error
            _deactivate(self.counters)


def _create_locks(counters: np.ndarray) -> None:
    """Store the addresses of CPython's lock functions, and an acquired lock for each thread.

    These locks exist on every platform and need no interpreter lock; compiled code may call them.
    """
    api = ctypes.pythonapi
    api.PyThread_allocate_lock.restype = ctypes.c_void_p
    api.PyThread_acquire_lock.argtypes = ctypes.c_void_p, ctypes.c_int
    functions = {ACQUIRE: api.PyThread_acquire_lock_timed, RELEASE: api.PyThread_release_lock}
    for which, function in functions.items():
        counters[which * SPACING] = ctypes.cast(function, ctypes.c_void_p).value
    for which in range(THREADS + 1, len(counters) // SPACING, 2):
        lock = api.PyThread_allocate_lock()
        api.PyThread_acquire_lock(lock, 1)
        counters[which * SPACING] = lock


_LIBC = ctypes.PyDLL(None) if hasattr(os, "sched_setaffinity") else None
