"""`build_lattice` on the device. Definition: ``ops/crf/lattice.py``.

The vertices are numbered by a hash table that all threads fill at the same time. ``insert``: one
thread per corner of a point. It starts at the key's home slot and probes slot after slot with an
atomic compare-and-swap, which claims an empty slot and returns what the slot held:

    thread A, key 7 ->  home 2   [  ] [  ] [ 7] [  ] [  ]     slot 2 was empty: A wrote 7
    thread B, key 7 ->  home 2              ^                 slot 2 holds 7: the same vertex, done
    thread C, key 9 ->  home 2              ^ -> ^            slot 2 holds 7; C takes slot 3

For any order of the threads, every distinct key ends in exactly one slot. A running sum over the
filled slots (by CuPy) numbers the vertices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from minideeplab.arrays import to_host
from minideeplab.backends.cuda.crf.embedding import embed_points
from minideeplab.backends.cuda.crf.filtering import DeviceLattice, Tables
from minideeplab.backends.cuda.device import to_device, xp
from minideeplab.backends.cuda.launch import device_function, kernel
from minideeplab.ops.crf import lattice as definition
from minideeplab.ops.crf.keys import place_values
from minideeplab.ops.crf.lattice import Lattice

EMPTY = -(1 << 63)


@device_function
def home(key, last):
    """The first slot of a key in a table of last + 1 slots, a power of 2."""
    mixed = (key & 0x7FFFFFFF) * 0x5BD1E995 + (key >> 31) * 0x27D4EB2F
    return ((mixed >> 15) ^ mixed) & last


@kernel("lattice.cu")
def insert(keys, table, slots, size, last):
    """Insert ``size`` keys into the table of last + 1 slots; ``slots`` gets the slot of each."""
    for e in range(cuda.grid(1), size, cuda.gridsize(1)):
        key = keys[e]
        slot = home(key, last)
        held = cuda.atomic.cas(table, slot, EMPTY, key)
        while held != EMPTY and held != key:
            slot = (slot + 1) & last
            held = cuda.atomic.cas(table, slot, EMPTY, key)
        slots[e] = slot


@kernel("lattice.cu")
def gather_keys(table, number, vertex_keys, size):
    """The keys of the vertices in the order of their numbers; one thread per slot."""
    for slot in range(cuda.grid(1), size, cuda.gridsize(1)):
        if table[slot] != EMPTY:
            vertex_keys[number[slot]] = table[slot]


@device_function
def find(key, table, number, last, missing):
    """The number of the vertex with this key, ``missing`` if there is none."""
    slot = home(key, last)
    while table[slot] != EMPTY and table[slot] != key:
        slot = (slot + 1) & last
    return missing if table[slot] == EMPTY else number[slot]


@kernel("lattice.cu")
def connect(vertex_keys, table, number, steps, neighbours, axes, vertices, last):
    """neighbours (D+1, 2, M) of each vertex, M if missing; one thread per axis and vertex.

    A step along an axis adds a constant to the key.
    """
    for e in range(cuda.grid(1), axes * vertices, cuda.gridsize(1)):
        axis, v = e // vertices, e % vertices
        before = find(vertex_keys[v] + steps[axis], table, number, last, vertices)
        behind = find(vertex_keys[v] - steps[axis], table, number, last, vertices)
        neighbours[2 * axis * vertices + v] = before
        neighbours[(2 * axis + 1) * vertices + v] = behind


def build_lattice(features: np.ndarray, lanes: int = 4) -> Lattice:
    """Place points with ``features`` (D, N), already divided by the kernel's widths, in a lattice.

    ``lanes`` and errors are as in the definition, which also runs if the coordinates are too wide
    for 64-bit keys. Synchronises with the device once, for the number of vertices.
    """
    features = to_host(features)
    definition.check_features(features)
    d, n = features.shape
    padded = np.zeros((d, n + -n % lanes), features.dtype)
    padded[:, :n] = features
    places = place_values(padded)
    if places is None:
        return definition.build_lattice(features, lanes)

    weights, keys, furthest = embed_points(padded, places)
    corners, neighbours, furthest = _number(keys, places, furthest)
    definition.check_keys(np.full((d + 1, 1), furthest))
    kept = (xp.ascontiguousarray(array[:, :n]) for array in (corners, weights))
    return DeviceLattice(Tables(*kept, neighbours), alpha=1 / (1 + 2.0**-d))


def _number(keys: Any, places: np.ndarray, furthest: Any) -> tuple[Any, Any, int]:
    """(corners (D+1, N), neighbours (D+1, 2, M), furthest) from the keys of all corners."""
    axes = len(keys)
    last = (1 << int(2 * keys.size - 1).bit_length()) - 1  # at most half of the slots are filled
    table = xp.full(last + 1, EMPTY, np.int64)
    slots = xp.empty(keys.shape, np.int64)
    insert(keys.size, keys, table, slots, keys.size, last)

    number = (xp.cumsum(table != EMPTY) - 1).astype(np.int32)
    vertices, furthest = map(int, to_host(xp.stack([number[-1] + 1, furthest])))
    vertex_keys = xp.empty(vertices, np.int64)
    gather_keys(last + 1, table, number, vertex_keys, last + 1)
    steps = to_device(axes * places[:axes] - places[-1])
    neighbours = xp.empty((axes, 2, vertices), np.int32)
    sizes = (axes, vertices, last)
    connect(axes * vertices, vertex_keys, table, number, steps, neighbours, *sizes)
    return number[slots], neighbours, furthest
