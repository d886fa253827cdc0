"""Rows of the table of cases: recipes of arrays, and the row itself.

A row holds recipes instead of arrays, so that the table is small, the same on every machine and
made anew, in the dtype wanted, for every function that it judges.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FLOAT32_IN_TORCH = "float32-in-torch"
"""The tag of rows that torch refuses in float64."""

Fill = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return standard normal numbers: no ties, no symmetry, both signs."""
    return rng.standard_normal(shape)


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers in (0.5, 2): variances, class weights."""
    return rng.uniform(0.5, 2.0, shape)


def ties(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return whole numbers in [-2, 2], so that many neighbours are equal."""
    return rng.integers(-2, 3, shape).astype(np.float64)


def negative(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers in (-2, -1), so that a zero from the padding would win a maximum."""
    return rng.uniform(-2.0, -1.0, shape)


def constant(value: float) -> Fill:
    """Return a fill whose every entry is ``value``."""
    return lambda rng, shape: np.full(shape, value, dtype=np.float64)


def spread(scale: float, offset: float = 0.0) -> Fill:
    """Return a fill of normal numbers times ``scale`` plus ``offset``."""
    return lambda rng, shape: scale * rng.standard_normal(shape) + offset


def planted(*values: float, share: float = 0.15, ground: Fill = normal) -> Fill:
    """Return ``ground`` with ``values`` in turn at a random ``share`` of the places."""

    def fill(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        array = ground(rng, shape).ravel()
        count = min(array.size, max(len(values), round(share * array.size)))
        places = rng.permutation(array.size)[:count]
        array[places] = np.resize(np.array(values, dtype=np.float64), count)
        return array.reshape(shape)

    return fill


def placed(places: Mapping[tuple[Any, ...], float], ground: Fill = normal) -> Fill:
    """Return ``ground`` with given values at given indices, e.g. ``{(0, 1): -inf}``."""

    def fill(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        array = ground(rng, shape)
        for index, value in places.items():
            array[index] = value
        return array

    return fill


def labels(classes: int, ignored: int | None = None, share: float = 0.3) -> Fill:
    """Return class indices below ``classes``, a ``share`` of them replaced by ``ignored``."""

    def fill(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        array = rng.integers(0, classes, shape)
        if ignored is not None:
            array = np.where(rng.random(shape) < share, ignored, array)
        return np.asarray(array, dtype=np.int64)

    return fill


def distribution(axis: int) -> Fill:
    """Return positive numbers that sum to one along ``axis``: class-probability targets."""

    def fill(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        array = rng.uniform(0.05, 1.0, shape)
        return array / array.sum(axis=axis, keepdims=True)

    return fill


def _strided(array: np.ndarray) -> np.ndarray:
    """Return ``array`` as every second entry of a larger block along its last two axes."""
    tail = min(array.ndim, 2)
    shape = array.shape[: array.ndim - tail] + tuple(2 * n + 1 for n in array.shape[-tail:])
    block = np.full(shape, 7, dtype=array.dtype)
    view = block[(..., *[slice(1, None, 2)] * tail)]
    view[...] = array
    return view


def _reversed(array: np.ndarray) -> np.ndarray:
    """Return ``array`` in memory that runs backwards along every axis (negative strides)."""
    flip = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[flip])[flip]


def _broadcast(array: np.ndarray) -> np.ndarray:
    """Return the first item along axis 0, repeated with stride zero."""
    return np.broadcast_to(array[:1], array.shape)


def _readonly(array: np.ndarray) -> np.ndarray:
    """Return ``array``, not to be written to."""
    array.flags.writeable = False
    return array


def _channels_last(array: np.ndarray) -> np.ndarray:
    """Return ``array`` with axis 1 innermost in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": lambda array: array,
    "strided": _strided,
    "reversed": _reversed,
    "broadcast": _broadcast,
    "readonly": _readonly,
    "transposed": np.asfortranarray,
    "channels_last": _channels_last,
}


@dataclass(frozen=True)
class Array:
    """Recipe of one array argument: its shape, what fills it and how it lies in memory."""

    shape: tuple[int, ...]
    fill: Fill = normal
    layout: str = "contiguous"

    def lay(self, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return a copy of ``values`` in ``dtype`` (labels keep theirs) and in the layout."""
        return LAYOUTS[self.layout](
            values.astype(dtype if values.dtype.kind == "f" else values.dtype)
        )


@dataclass(frozen=True, eq=False)
class Case:
    """One row: an operation, its array arguments in order (None where left out) and its options.

    ``differentiable`` names the arguments whose gradient is judged; ``updated`` those that the
    operation writes to by its definition (running statistics). ``tags`` say what the row is for:
    "edge", "tie", "nan", "empty", "strided", "unbatched", "random", "size" (many channels, a large
    kernel), and "quirk" where torch's result follows from its way of computing, so that other right
    implementations may differ.
    """

    op: str
    name: str
    arrays: Mapping[str, Array | None]
    options: Mapping[str, Any] = field(default_factory=dict)
    differentiable: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    note: str = ""

    @property
    def id(self) -> str:
        """Return "op/name", which is unique in the table and seeds the row's random numbers."""
        return f"{self.op}/{self.name}"

    def rng(self, stream: int) -> np.random.Generator:
        """Return the row's own random numbers; ``stream`` tells arguments and cotangent apart."""
        return np.random.default_rng([zlib.crc32(self.id.encode()), stream])

    def arguments(self, dtype: Any) -> dict[str, np.ndarray | None]:
        """Return fresh arrays for the arguments, by name and in order, in ``dtype``."""
        return {
            name: None if recipe is None else recipe.lay(values, np.dtype(dtype))
            for (name, recipe), values in zip(self.arrays.items(), _values(self), strict=True)
        }

    def cotangent(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return the random gradient of the output with which the row is differentiated."""
        return _cotangent(self, shape).astype(dtype)


@functools.lru_cache(maxsize=2048)
def _values(case: Case) -> list[np.ndarray | None]:
    """Return the values of the row's arguments, which every call copies."""
    return [
        None if recipe is None else np.asarray(recipe.fill(case.rng(position), recipe.shape))
        for position, recipe in enumerate(case.arrays.values())
    ]


@functools.lru_cache(maxsize=2048)
def _cotangent(case: Case, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(case.rng(1000).standard_normal(shape))
