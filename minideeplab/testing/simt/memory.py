"""Arrays that log every access of a kernel, and the races found in the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class SimtError(AssertionError):
    """A kernel has problems that can fail on a GPU."""


@dataclass(frozen=True)
class Problem:
    """One problem: its kind (race, bounds, barrier, uninitialised) and the details."""

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class Fatal(Exception):
    """A problem that ends the run."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.problem = Problem(kind, message)


class Access(NamedTuple):
    """One access to an element; ``kind`` is "read", "write" or "atomic"."""

    block: int
    thread: int
    epoch: int
    kind: str


class TracedArray:
    """An array that checks and logs each access to an element by a kernel.

    ``where.now`` is the running (block, thread, epoch). ``fresh`` memory must be written before it
    is read.
    """

    def __init__(self, array: np.ndarray, name: str, where: Any, fresh: bool = False):
        self.array, self.name, self.where = array, name, where
        self.written = np.zeros(array.shape, bool) if fresh else None
        self.unwritten: str | None = None
        self.log: dict[tuple[int, ...], set[Access]] = defaultdict(set)

    shape = property(lambda self: self.array.shape)
    dtype = property(lambda self: self.array.dtype)
    size = property(lambda self: self.array.size)
    ndim = property(lambda self: self.array.ndim)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        return self.array[self._log(index, "read")]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.array[self._log(index, "write")] = value

    def update(self, index: Any, change: Any) -> Any:
        """Atomically replace an element by ``change(old)``; return the old value."""
        place = self._log(index, "atomic")
        old = self.array[place]
        self.array[place] = change(old)
        return old

    def _log(self, index: Any, kind: str) -> tuple[int, ...]:
        place = index if isinstance(index, tuple) else (index,)
        block, thread, epoch = self.where.now
        element, who = f"{self.name}[{_text(place)}]", f"thread {thread} of block {block}"
        if len(place) != self.ndim:
            raise Fatal("bounds", f"{element}: {len(place)} indices for {self.ndim} axes")
        for i, size in zip(place, self.shape, strict=True):
            if not 0 <= i < size:
                how = "goes below zero" if i < 0 else "goes beyond the end"
                raise Fatal("bounds", f"{element}, shape {self.shape}: {who} {how} ({kind})")
        place = tuple(map(int, place))
        if self.written is not None:
            if kind != "write" and not self.written[place] and self.unwritten is None:
                self.unwritten = f"{element}: {who} reads memory that was not written"
            self.written[place] = True
        self.log[place].add(Access(block, thread, epoch, kind))
        return place

    def problems(self) -> Iterator[Problem]:
        """Yield the first race and the number of elements with races, or an uninitialised read."""
        pairs = {place: conflict(accesses) for place, accesses in self.log.items()}
        raced = {place: pair for place, pair in pairs.items() if pair}
        if raced:
            place, (a, b) = min(raced.items())
            more = f" ({len(raced)} elements in all)" if len(raced) > 1 else ""
            yield Problem("race", f"{self.name}[{_text(place)}]{more}: {_versus(a, b)}")
        elif self.unwritten:
            yield Problem("uninitialised", self.unwritten)


def conflict(accesses: set[Access]) -> tuple[Access, Access] | None:
    """Two unordered accesses to one element of which one writes, or None."""
    if all(access.kind == "read" for access in accesses) or len(accesses) == 1:
        return None
    within: dict[tuple[int, int], list[Access]] = defaultdict(list)
    for access in sorted(accesses):
        within[access.block, access.epoch].append(access)
    for group in within.values():
        pair = _clash(group, "thread")
        if pair:
            return pair
    return _clash(sorted(accesses), "block")


def _clash(accesses: list[Access], who: str) -> tuple[Access, Access] | None:
    """Two accesses by different threads or blocks, one a write or atomic, not both atomic."""
    for one in accesses:
        if one.kind == "read":
            continue
        for other in accesses:
            apart = getattr(one, who) != getattr(other, who)
            if apart and not one.kind == other.kind == "atomic":
                return one, other
    return None


def _versus(a: Access, b: Access) -> str:
    verb = {"read": "reads", "write": "writes", "atomic": "updates atomically"}
    if a.block == b.block:
        return (
            f"in epoch {a.epoch} of block {a.block}, thread {a.thread} {verb[a.kind]} and thread "
            f"{b.thread} {verb[b.kind]}; a barrier or an atomic operation is missing"
        )
    return (
        f"thread {a.thread} of block {a.block} {verb[a.kind]} and thread {b.thread} of block "
        f"{b.block} {verb[b.kind]}; blocks run in any order, only atomic operations are safe"
    )


def _text(place: tuple) -> str:
    return ", ".join(map(str, place))
