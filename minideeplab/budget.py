"""Reading files of unknown origin: a budget of memory and time, and messages of one line."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

LONGEST = 300  # characters of a message
AXES = 32  # most of an array: more are no weights
STEPS = 500_000  # parts of a file that are looked at: a network of 10,000 tensors has fewer
PIECE = 16 << 20  # bytes that are read at a time


class Budget:
    """Memory and time that reading a file may cost, known from its size before anything is read.

    Generous, since weights hardly compress; zeros do, so there is a fixed allowance. Readers call
    ``spend`` before they allocate, and ``step`` for each part of the file that they look at.
    """

    def __init__(self, file_size: int) -> None:
        self.file_size = file_size
        self.bytes = 20 * file_size + (64 << 20)
        self.steps = STEPS

    def spend(self, what: str, count: int) -> None:
        """Take ``count`` bytes; raises ValueError, before they are allocated, if too few remain."""
        if count > self.bytes:
            raise ValueError(
                f"{what} claim {count:,} bytes, implausible for a file of {self.file_size:,}"
            )
        self.bytes -= count

    def step(self, cost: int = 1) -> None:
        """Take ``cost`` of the steps; raises ValueError if too few remain."""
        self.steps -= cost
        if self.steps < 0:
            raise ValueError(f"more than {STEPS // cost:,} parts, implausible for a network")


def checked_size(what: str, shape: Iterable[int], itemsize: int, available: int) -> int:
    """Return an array's size in bytes, checked against the bytes of the file.

    Raises:
        ValueError: a negative size, too many axes, or more bytes than the ``available`` ones.
    """
    shape = checked_shape(what, shape)
    needed = math.prod(shape) * itemsize
    if needed > available:
        raise ValueError(
            f"{what}: shape {shape} needs {needed:,} bytes, the file has {available:,} for it"
        )
    return needed


def checked_shape(what: str, shape: Iterable[int]) -> tuple[int, ...]:
    """Return a shape as a tuple; ValueError unless it is one that an array can have."""
    shape = tuple(shape)
    if len(shape) > AXES:
        raise ValueError(f"{what}: impossible shape of {len(shape):,} axes")
    shape = tuple(int(size) for size in shape)
    if any(not 0 <= size < 1 << 63 for size in shape):
        raise ValueError(f"{what}: impossible shape {shape}")
    return shape


def read_bytes(file: BinaryIO, count: int, what: str) -> np.ndarray:
    """Return the next ``count`` bytes as writable (count,) uint8; ValueError if there are fewer.

    In pieces: a zip entry unpacks as much as is asked for, whatever its header says.
    """
    raw, filled = np.empty(count, np.uint8), 0
    while filled < count and (piece := file.read(min(PIECE, count - filled))):
        raw[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
        filled += len(piece)
    if filled != count:
        raise ValueError(f"{what}: truncated")
    return raw


def read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """Return one file of an archive as writable (size,) uint8, with its checksum verified.

    The caller has checked that ``entry.file_size`` is plausible.
    """
    with archive.open(entry) as file:
        raw = read_bytes(file, entry.file_size, repr(entry.filename))
        file.read(1)  # at the end the checksum is compared
    return raw


def one_line(text: object, most: int = LONGEST) -> str:
    """Return a message as one line of at most ``most`` characters, control characters escaped."""
    words = " ".join(str(text)[: 20 * most].split())
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
    return line if len(line) <= most else f"{line[: most - 4]} ..."
