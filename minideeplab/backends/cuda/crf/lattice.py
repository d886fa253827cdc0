"""``build_lattice`` on the device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minideeplab.arrays import to_host
from minideeplab.backends.cuda.crf.embedding import embed
from minideeplab.backends.cuda.crf.hashing import EMPTY, connect, gather_keys, insert
from minideeplab.backends.cuda.device import flat, to_device, xp
from minideeplab.ops.crf import lattice as definition
from minideeplab.ops.crf.keys import place_values
from minideeplab.ops.crf.lattice import Lattice


@dataclass(frozen=True)
class Tables:
    """A lattice's arrays on the device: corners and weights (D+1, N), neighbours (D+1, 2, M)."""

    corners: Any
    weights: Any
    neighbours: Any


class DeviceLattice(Lattice):
    """A lattice whose arrays are on the device (``tables``) and come to the host when asked for.

    What filters does so on the device; what looks into the lattice, such as the gradient of the
    kernel's widths, reads the same attributes as those of any other lattice.
    """

    def __init__(self, tables: Tables, alpha: float):
        values = {"tables": tables, "n_vertices": tables.neighbours.shape[2], "alpha": alpha}
        self.__dict__.update(values)

    @cached_property
    def corners(self) -> np.ndarray:
        """(D+1, N) int32 on the host."""
        return to_host(self.tables.corners)

    @cached_property
    def weights(self) -> np.ndarray:
        """(D+1, N) on the host."""
        return to_host(self.tables.weights)

    @cached_property
    def neighbours(self) -> np.ndarray:
        """(D+1, 2, M) int32 on the host."""
        return to_host(self.tables.neighbours)

    def filter(self, values: np.ndarray, reverse: bool = False) -> np.ndarray:
        """Filter values (C, N) on the device; see ``filter_lattice``."""
        from minideeplab.backends.cuda.crf.filtering import filter_lattice

        return filter_lattice(self, values, reverse)


def on_device(lattice: Lattice) -> Tables:
    """The arrays of any lattice on the device, copied there if another backend built it."""
    if isinstance(lattice, DeviceLattice):
        return lattice.tables
    arrays = (lattice.corners, lattice.weights, lattice.neighbours)
    return Tables(*(to_device(np.ascontiguousarray(array)) for array in arrays))


def build_lattice(features: np.ndarray, lanes: int = 4) -> Lattice:
    """Place points with ``features`` (D, N), already divided by the kernel's widths, in a lattice.

    ``lanes`` and the errors are the definition's; so is the lattice if the coordinates are too
    wide for a 64-bit key. Waits for the device once, for the number of vertices.
    """
    features = to_host(features)
    definition.check_features(features)
    d, n = features.shape
    padded = np.zeros((d, n + -n % lanes), features.dtype)
    padded[:, :n] = features
    places = place_values(padded)
    if places is None:
        return definition.build_lattice(features, lanes)

    weights, keys, furthest = _embed(padded, places)
    corners, neighbours, furthest = _number(keys, places, furthest)
    definition.check_keys(np.full((d + 1, 1), furthest))
    kept = (xp.ascontiguousarray(array[:, :n]) for array in (corners, weights))
    return DeviceLattice(Tables(*kept, neighbours), alpha=1 / (1 + 2.0**-d))


def _embed(features: np.ndarray, places: np.ndarray) -> tuple[Any, Any, Any]:
    """Weights and keys (D+1, N) of the points' corners, and the largest lattice coordinate."""
    (d, n), dtype = features.shape, features.dtype
    scale = definition.elevation_scale(d)
    there = to_device(features)
    tables = scale.astype(np.float32), scale.astype(dtype), places[: d + 1]
    scale32, scale, places = map(to_device, tables)
    inputs = map(flat, (there.astype(np.float32, copy=False), scale32, there, scale, places))
    kinds = (np.float32, dtype, np.int32, np.int32, dtype, np.int64)
    elevated32, elevated, vertex, rank, weights, keys = (
        xp.empty((d + 1, n), kind) for kind in kinds
    )
    outputs = (elevated32, elevated, vertex, rank, weights, keys)
    embed(n, *inputs, *(array.reshape(-1) for array in outputs), d, n)
    return weights, keys, xp.abs(vertex).max()


def _number(keys: Any, places: np.ndarray, furthest: Any) -> tuple[Any, Any, int]:
    """(corners (D+1, N), neighbours (D+1, 2, M), furthest) from the keys of all corners."""
    axes = len(keys)
    last = (1 << int(2 * keys.size - 1).bit_length()) - 1  # at most half of the slots are filled
    table = xp.full(last + 1, EMPTY, np.int64)
    slots = xp.empty(keys.shape, np.int64)
    insert(keys.size, keys.reshape(-1), table, slots.reshape(-1), keys.size, last)

    number = (xp.cumsum(table != EMPTY) - 1).astype(np.int32)
    vertices, furthest = map(int, to_host(xp.stack([number[-1] + 1, furthest])))
    vertex_keys = xp.empty(vertices, np.int64)
    gather_keys(last + 1, table, number, vertex_keys, last + 1)
    steps = axes * places[:axes] - places[-1]
    neighbours = xp.empty((axes, 2, vertices), np.int32)
    arrays = (vertex_keys, table, number, to_device(steps), neighbours.reshape(-1))
    connect(axes * vertices, *arrays, axes, vertices, last)
    return number[slots], neighbours, furthest
