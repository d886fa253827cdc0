"""Arrays that log who touches what, and the races that follow from the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class SimtError(AssertionError):
    """A kernel does something that a GPU punishes, now or some day."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: its kind (race, bounds, barrier, uninitialised) and the details."""

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class Fatal(Exception):
    """A problem after which the kernel cannot go on."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.problem = Problem(kind, message)


class Access(NamedTuple):
    """Who touched an element: block, thread, the epoch of its block; "read", "write", "atomic"."""

    block: int
    thread: int
    epoch: int
    kind: str


class TracedArray:
    """An array as a kernel sees it: single elements, by index, each access checked and logged.

    ``where`` tells the thread that runs now. ``fresh`` memory may not be read before it is written.
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
        place = self._touch(index, "read")
        return self.array[place]

    def __setitem__(self, index: Any, value: Any) -> None:
        place = self._touch(index, "write")
        self.array[place] = value

    def update(self, index: Any, change: Any) -> Any:
        """Replace an element by ``change(old)`` in one indivisible step; return the old one."""
        place = self._touch(index, "atomic")
        old = self.array[place]
        self.array[place] = change(old)
        return old

    def _touch(self, index: Any, kind: str) -> tuple[int, ...]:
        place = index if isinstance(index, tuple) else (index,)
        block, thread, epoch = self.where.now
        if len(place) != self.ndim:
            raise Fatal(
                "bounds", f"{self.name}[{_text(place)}]: {len(place)} indices for {self.ndim} axes"
            )
        for i, size in zip(place, self.shape, strict=True):
            if not 0 <= i < size:
                raise Fatal(
                    "bounds",
                    f"{self.name}[{_text(place)}], shape {self.shape}: thread {thread} of block "
                    f"{block} {'goes below zero' if i < 0 else 'goes beyond the end'} ({kind})",
                )
        place = tuple(map(int, place))
        if self.written is not None:
            if kind != "write" and not self.written[place] and self.unwritten is None:
                self.unwritten = (
                    f"{self.name}[{_text(place)}]: thread {thread} of block {block} reads what "
                    "nobody wrote"
                )
            self.written[place] = True
        self.log[place].add(Access(block, thread, epoch, kind))
        return place

    def problems(self) -> Iterator[Problem]:
        """Yield the first race in the log, if there is any, with the number of elements raced.

        Without a race, yield the first read of memory that nobody had written.
        """
        raced = {}
        for place, accesses in self.log.items():
            pair = conflict(accesses)
            if pair:
                raced[place] = pair
        if raced:
            place, (a, b) = min(raced.items())
            more = f" ({len(raced)} elements in all)" if len(raced) > 1 else ""
            yield Problem("race", f"{self.name}[{_text(place)}]{more}: {_versus(a, b)}")
        elif self.unwritten:
            yield Problem("uninitialised", self.unwritten)


def conflict(accesses: set[Access]) -> tuple[Access, Access] | None:
    """Two accesses to one element that nothing orders, or None."""
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
    """Two accesses by different threads or blocks of which one writes, but not both atomically."""
    for one in accesses:
        if one.kind == "read":
            continue
        for other in accesses:
            apart = getattr(one, who) != getattr(other, who)
            if apart and not one.kind == other.kind == "atomic":
                return one, other
    return None


def _versus(a: Access, b: Access) -> str:
    said = {"read": "reads", "write": "writes", "atomic": "updates atomically"}
    if a.block == b.block:
        return (
            f"in epoch {a.epoch} of block {a.block}, thread {a.thread} {said[a.kind]} and thread "
            f"{b.thread} {said[b.kind]}; a barrier or an atomic operation is missing"
        )
    return (
        f"thread {a.thread} of block {a.block} {said[a.kind]} and thread {b.thread} of block "
        f"{b.block} {said[b.kind]}; blocks run in any order, only atomic operations are safe"
    )


def _text(place: tuple) -> str:
    return ", ".join(map(str, place))
