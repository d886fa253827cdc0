"""The backend's threads: between two kernels they wait awake, and start with the first claim.

A network is some hundred short kernels. To wake a sleeping thread for each takes longer than many
of them, and so does waiting for the interpreter's lock. So a thread that has nothing to do watches
a counter for some tenths of a millisecond, without the lock, before it goes to sleep; and the
counter it watches is the one from which tasks are claimed, so that it asks for the lock just when
the thread that called has given it up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from minideeplab.backends.numba_cpu.atomic import (
    APART,
    BUSY,
    CLAIMED,
    ROUND,
    becomes_zero,
    change,
    new_round,
)

Work = Callable[[np.ndarray], None]


def fresh_counters() -> np.ndarray:
    """Return counters at 0, for a thread that works alone."""
    return np.zeros(3 * APART, np.int64)


class Team:
    """The calling thread and ``helpers`` others, who do one work at a time together."""

    def __init__(self, helpers: int):
        self.counters = fresh_counters()
        self.turn = threading.Lock()  # held by the thread whose work is being done
        self.news = threading.Condition()
        self.work: Work | None = None
        self.wanted = 0  # helpers that may still come
        self.error: BaseException | None = None
        for _ in range(helpers):
            threading.Thread(target=self._help, name="minideeplab", daemon=True).start()

    def do(self, work: Work, most: int) -> bool:
        """Call ``work(counters)`` here and on those of ``most`` helpers that come in time.

        The works ``claim`` their tasks. False if the team has other work: nothing was
        called. The first exception is raised again here.
        """
        if not self.turn.acquire(blocking=False):
            return False
        try:
            self._wait()  # after an interrupt, for those that are still at work
            with self.news:
                self.work, self.wanted, self.error = work, most, None
                self.counters[CLAIMED] = 0
                change(self.counters, ROUND, 1)
                self.news.notify_all()
            try:
                work(self.counters)
            finally:
                with self.news:  # from here on nobody comes any more
                    self.work = None
                self._wait()
            if self.error is not None:
                raise self.error
        finally:
            self.turn.release()
        return True

    def _wait(self) -> None:
        while not becomes_zero(self.counters, BUSY):
            time.sleep(0)

    def _help(self) -> None:
        last = 0  # the round in which this thread took part, or came too late
        while True:
            awake = new_round(self.counters, last)
            with self.news:
                current = change(self.counters, ROUND, 0)
                work = self.work if current != last and self.wanted > 0 else None
                if work is not None:
                    self.wanted -= 1
                    change(self.counters, BUSY, 1)
                elif not awake:
                    self.news.wait()
            last = current
            if work is not None:
                self._take_part(work)

    def _take_part(self, work: Work) -> None:
        try:
            work(self.counters)
        except BaseException as error:
            self.error = self.error or error
        change(self.counters, BUSY, -1)
