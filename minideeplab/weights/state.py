"""What every reader gives back: arrays by name, and a note of the framework they came from."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Mapping

import numpy as np

#: Frameworks by which a reader may mark what it read.
ORIGINS = ("caffe", "torchvision", "keras", "matconvnet")


class StateDict(dict[str, np.ndarray]):
    """A dict of arrays that remembers its ``origin``: one of ``ORIGINS``, or None if unknown.

    The origin matters for VGG-16, whose first layer expects other colours in each framework
    (see :mod:`minideeplab.weights.vgg`); for everything else this is a plain dict.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]] = (),
        origin: str | None = None,
    ) -> None:
        super().__init__(arrays)
        self.origin = origin


def checked_size(what: str, shape: Iterable[int], itemsize: int, available: int) -> int:
    """Return how many bytes an array needs, if a file can have them.

    Raises:
        ValueError: a negative size, or more bytes than the ``available`` ones.
    """
    shape = tuple(int(size) for size in shape)
    if any(size < 0 for size in shape) or len(shape) > 32:
        raise ValueError(f"{what}: impossible shape {shape}")
    needed = math.prod(shape) * itemsize
    if needed > available:
        raise ValueError(
            f"{what}: shape {shape} needs {needed:,} bytes, the file has {available:,} for it"
        )
    return needed


def unpacking_limit(file_size: int) -> int:
    """Return how many bytes a compressed file may unpack to before it counts as a bomb.

    Weights hardly compress; zeros do, so small files get a fixed allowance.
    """
    return 20 * file_size + (64 << 20)


def bfloat16_to_float32(values: np.ndarray) -> np.ndarray:
    """Widen bfloat16, given as uint16 bit patterns: it is the upper half of a float32."""
    return np.array(values.astype(np.uint32) << 16, np.uint32, order="C").view(np.float32)


def read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """Read one file of an archive, checksum and all, as writable (size,) uint8.

    The caller has held ``entry.file_size`` against what is plausible.
    """
    raw = np.empty(entry.file_size, np.uint8)
    filled = 0
    with archive.open(entry) as file:
        while piece := file.read(16 << 20):
            raw[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            filled += len(piece)
    if filled != raw.size:
        raise ValueError(f"{entry.filename!r} is truncated")
    return raw
