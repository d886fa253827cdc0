"""StateDict, the result of every reader: arrays by name, and the framework they come from."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Mapping

import numpy as np

#: The frameworks that a reader may record.
ORIGINS = ("caffe", "torchvision", "keras", "matconvnet")


class StateDict(dict[str, np.ndarray]):
    """A dict of arrays with an ``origin``: one of ``ORIGINS``, or None if unknown.

    The origin matters for VGG-16, whose first layer expects another input in each framework
    (see :mod:`minideeplab.weights.vgg`); for everything else this is a plain dict. ``fresh`` names
    the layers whose values are new and random, not from a file.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]] = (),
        origin: str | None = None,
        fresh: Iterable[str] = (),
    ) -> None:
        super().__init__(arrays)
        self.origin, self.fresh = origin, tuple(fresh)


def checked_size(what: str, shape: Iterable[int], itemsize: int, available: int) -> int:
    """Return an array's size in bytes, checked against the bytes of the file.

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
    """Return the limit in bytes to which a compressed file may unpack.

    It is generous, since weights hardly compress; zeros do, so there is a fixed allowance.
    """
    return 20 * file_size + (64 << 20)


def bfloat16_to_float32(values: np.ndarray) -> np.ndarray:
    """Widen bfloat16, given as uint16 bit patterns: it is the upper half of a float32."""
    return np.array(values.astype(np.uint32) << 16, np.uint32, order="C").view(np.float32)


def read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """Return one file of an archive as writable (size,) uint8, with its checksum verified.

    The caller has checked that ``entry.file_size`` is plausible.
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
