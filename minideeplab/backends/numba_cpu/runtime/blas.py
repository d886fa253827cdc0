"""Limit NumPy's BLAS to one thread, for tasks of the thread pool that multiply matrices."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

Limits = Sequence[tuple[Any, int]]  # libraries and their numbers of threads


class _Process:
    """Callers that need one thread now, and the limits that the last of them restores."""

    lock = threading.Lock()
    count = 0
    before: Limits = ()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread; the last caller that leaves, in any thread, restores its number.

    For a single task too: the bits of BLAS's results depend on the number of its threads.
    """
    shared = _libraries()[0]
    with _Process.lock:
        if _Process.count == 0:
            _Process.before = _limit(shared)
        _Process.count += 1
    try:
        with one_blas_thread_here():
            yield
    finally:
        with _Process.lock:
            _Process.count -= 1
            if _Process.count == 0:
                _restore(_Process.before)


@contextmanager
def one_blas_thread_here() -> Iterator[None]:
    """Limit the libraries whose number of threads belongs to the calling thread (OpenMP's)."""
    before = _limit(_libraries()[1])
    try:
        yield
    finally:
        _restore(before)


@cache
def _libraries() -> tuple[list[Any], list[Any]]:
    """Return the BLAS libraries whose limit holds for the process, and for a thread each."""
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    by_thread = [lib for lib in found if getattr(lib, "threading_layer", "") == "openmp"]
    return [lib for lib in found if lib not in by_thread], by_thread


def _limit(libraries: list[Any]) -> Limits:
    before = [(lib, lib.get_num_threads()) for lib in libraries]
    _restore([(lib, 1) for lib, _ in before])
    return before


def _restore(limits: Limits) -> None:
    """Set numbers of threads, from whichever thread.

    threadpoolctl (since 3.8) lets one thread alone set OpenBLAS's limit and ignores others; here
    the last caller is often another thread than the first.
    """
    for lib, count in limits:
        clear = getattr(lib, "clear_controlling_thread", lambda force: None)
        clear(force=True)
        lib.set_num_threads(count)
        clear(force=True)
