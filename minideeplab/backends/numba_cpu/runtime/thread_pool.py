"""The backend's threads: between two rounds of work they wait awake, in compiled code.

A network is some hundred short kernels. To wake a sleeping thread for each takes longer than many
of them, and so does a wait for the interpreter's lock. So a helper stays in a compiled loop: it
watches a counter, does its part of every round that is announced there, and sleeps when nothing
comes for some tenths of a millisecond. It returns to Python only for work in Python.

How a round goes, in the order in which all threads see it (the counters are atomic):

    caller: writes TASK, ARGUMENT and SEATS; OPEN = the round's number; does its part;
            OPEN = 0; waits until BUSY is 0
    helper: sees a new number in OPEN; BUSY += 1; if OPEN still has that number and a seat is left,
            does its part; BUSY -= 1

What a helper reads while it is BUSY in an open round cannot change: before the next round the
caller waits for it.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from minideeplab.backends.numba_cpu.runtime.atomics import (
    APART,
    BUSY,
    CLAIMED,
    add,
    call,
    read,
    swap,
)
from minideeplab.backends.numba_cpu.runtime.jit import jit

Work = Callable[[np.ndarray], None]

OPEN, ROUND, SEATS = 2, 3, 4  # the round to join or 0, rounds so far, helpers that may still come
TASK, ARGUMENT, FAILED = 5, 6, 7  # address of what to do or 0, what it is given, tasks that failed
SLEEP, WAKE = 8, 9  # addresses of the functions that acquire and release a lock
THREADS = 10  # from here on two for each thread: whether it sleeps, and the lock it sleeps on
TURNS = 20_000  # looks before a thread gives up waiting: some tenths of a millisecond


def fresh_counters(threads: int = 1) -> np.ndarray:
    """Return counters at 0: for one thread, those of a caller who works alone."""
    return np.zeros((THREADS + 2 * threads) * APART, np.int64)


@jit
def announce(counters, task, argument):
    """Begin a round with ``task(argument, me)``, an address and a number, for those in SEATS."""
    swap(counters, TASK, task)
    swap(counters, ARGUMENT, argument)
    swap(counters, CLAIMED, 0)
    swap(counters, FAILED, 0)
    seats = read(counters, SEATS)
    swap(counters, OPEN, add(counters, ROUND, 1) + 1)
    threads = (counters.size // APART - THREADS) // 2
    for me in range(1, min(seats + 1, threads)):
        if swap(counters, THREADS + 2 * me, 0) == 1:
            call(read(counters, WAKE), read(counters, THREADS + 2 * me + 1))


@jit
def closed(counters):
    """End a round, and wait for those at work; False if it takes too long."""
    swap(counters, OPEN, 0)
    for _ in range(TURNS):
        if read(counters, BUSY) == 0:
            return True
    return False


@jit
def close(counters):
    """End a round, and wait for those at work: where they lost their cores, without using one."""
    while not closed(counters):
        call(read(counters, SLEEP), read(counters, THREADS + 1), 1, 0)


@jit
def _follow(counters, me, last):
    """Help in rounds as number ``me``; return when BUSY in one that is Python's, with its number.

    ``last`` is the round in which this thread took part, or came too late.
    """
    while True:
        last = _next_round(counters, me, last)
        add(counters, BUSY, 1)
        if read(counters, OPEN) == last and add(counters, SEATS, -1) > 0:
            task = read(counters, TASK)
            if task == 0:
                return last
            if call(task, read(counters, ARGUMENT), me) != 0:
                add(counters, FAILED, 1)
        add(counters, BUSY, -1)


@jit
def _next_round(counters, me, last):
    """Watch until a round is open that is not the last one; after a while, asleep.

    A round of Python's counts from its first claim on: then its caller has given up the
    interpreter's lock.
    """
    looks = 0
    while True:
        current = read(counters, OPEN)
        if current != 0 and current != last:
            if read(counters, TASK) != 0 or read(counters, CLAIMED) > 0:
                return current
        looks += 1
        if looks == TURNS:
            _sleep(counters, me, last)
            looks = 0


@jit
def _sleep(counters, me, last):
    """Sleep until a round wakes this thread, unless one began before it could know that it must."""
    swap(counters, THREADS + 2 * me, 1)
    current = read(counters, OPEN)
    if current == 0 or current == last or swap(counters, THREADS + 2 * me, 0) == 0:
        call(read(counters, SLEEP), read(counters, THREADS + 2 * me + 1), -1, 0)


class Team:
    """The calling thread and ``helpers`` others, who do one work at a time together."""

    def __init__(self, helpers: int):
        self.counters = fresh_counters(1 + helpers)
        self.turn = threading.Lock()  # held by the thread whose work is being done
        self.work: Work | None = None
        self.error: BaseException | None = None
        self.cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
        self.left = -1  # the core that the helpers leave to the caller
        _furnish(self.counters)
        self.helpers = [
            threading.Thread(target=self._help, args=(me,), name="minideeplab", daemon=True)
            for me in range(1, 1 + helpers)
        ]
        for helper in self.helpers:
            helper.start()

    def run(self, compiled: Callable[..., None], most: int, *args: object) -> bool:
        """Call ``compiled(counters, *args)``, a round made by ``together``, with ``most`` helpers.

        False if the team has other work: nothing was called.
        """
        if not self.turn.acquire(blocking=False):
            return False
        try:
            self._prepare(most)
            compiled(self.counters, *args)
        finally:
            self.turn.release()
        return True

    def do(self, work: Work, most: int) -> bool:
        """Call ``work(counters)``, in Python, here and on those of ``most`` helpers that come.

        The works ``claim`` their tasks. False if the team has other work: nothing was
        called. The first exception is raised again here.
        """
        if not self.turn.acquire(blocking=False):
            return False
        try:
            self._prepare(most)
            self.work, self.error = work, None
            try:
                announce(self.counters, 0, 0)
                work(self.counters)
            finally:
                self._settle()
                self.work = None
            if self.error is not None:
                raise self.error
        finally:
            self.turn.release()
        return True

    def _prepare(self, most: int) -> None:
        self._settle()  # after an interrupt
        if self.cores and (core := _current_core()) != self.left:
            self._leave(core)
        self.counters[SEATS * APART] = most

    def _settle(self) -> None:
        while not closed(self.counters):
            time.sleep(0)

    def _leave(self, core: int) -> None:
        """Keep the helpers off the caller's core, where Linux likes to wake them."""
        self.left = core
        if others := self.cores - {core}:
            for helper in self.helpers:
                with suppress(OSError):  # those cores were taken away from this process
                    os.sched_setaffinity(helper.native_id, others)

    def _help(self, me: int) -> None:
        last = 0
        while True:
            last = _follow(self.counters, me, last)
            try:
                self.work(self.counters)
            except BaseException as error:
                self.error = self.error or error
            _take_leave(self.counters)


@jit
def _take_leave(counters):
    add(counters, BUSY, -1)


def _furnish(counters: np.ndarray) -> None:
    """Give each thread a lock to sleep on: Python's own, which need not hold the interpreter's.

    They exist on every system, and compiled code may call the functions behind them.
    """
    api = ctypes.pythonapi
    api.PyThread_allocate_lock.restype = ctypes.c_void_p
    api.PyThread_acquire_lock.argtypes = ctypes.c_void_p, ctypes.c_int
    functions = {SLEEP: api.PyThread_acquire_lock_timed, WAKE: api.PyThread_release_lock}
    for which, function in functions.items():
        counters[which * APART] = ctypes.cast(function, ctypes.c_void_p).value
    for which in range(THREADS + 1, len(counters) // APART, 2):
        lock = api.PyThread_allocate_lock()
        api.PyThread_acquire_lock(lock, 1)
        counters[which * APART] = lock


def _current_core() -> int:
    return _LIBC.sched_getcpu()


_LIBC = ctypes.PyDLL(None) if hasattr(os, "sched_setaffinity") else None
