"""Number the vertices of a lattice by their keys, and find each one's neighbours."""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.crf.embedding import embed
from minideeplab.backends.numba_cpu.runtime.jit import jit

TILE = 256
EMPTY = np.int32(-1)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio spreads similar keys apart


@jit
def find(key, table, bits, vertex_keys):
    """Return the slot of a key in an open-addressing table of 2**bits slots, or its empty slot.

    The search starts at the top bits of a product (Knuth's multiplicative hashing). Numba does not
    test unsigned indices for negative values.
    """
    slot = (np.uint64(key) * MULTIPLIER) >> np.uint64(64 - bits)
    last = np.uint64(table.size - 1)
    while table[slot] != EMPTY and vertex_keys[np.uint64(table[slot])] != key:
        slot = (slot + np.uint64(1)) & last
    return slot


@jit
def hash_table(vertex_keys, count, bits):
    """Return a table of 2**bits slots with ``count`` vertices, and memory for 2**bits / 4 keys."""
    table = np.full(1 << bits, EMPTY, np.int32)
    keys = np.empty(table.size // 4, np.int64)
    for v in range(count):
        keys[v] = vertex_keys[v]
        table[find(keys[v], table, bits, keys)] = v
    return table, keys


@jit
def enter(keys, table, bits, vertex_keys, count, corners):
    """Number new keys of (tile, D+1) from ``count`` on and fill corners; return the new count."""
    for p in range(keys.shape[0]):
        for r in range(keys.shape[1]):
            slot = find(keys[p, r], table, bits, vertex_keys)
            if table[slot] == EMPTY:
                table[slot] = count
                vertex_keys[np.uint64(count)] = keys[p, r]
                count += 1
            corners[p, r] = table[slot]
    return count


@jit
def number_vertices(features32, features, scale32, scale, places, corners, weights):
    """Embed all points and number their vertices in order of appearance: fill corners and weights.

    Returns the keys of the vertices, the table that finds them, the bits of its size, and the
    largest coordinate; if that is TOO_FAR the other results are meaningless.
    """
    n, sides = corners.shape
    bits = 12
    while (1 << bits) < n:
        bits += 1
    table, vertex_keys = hash_table(np.empty(0, np.int64), 0, bits)
    keys = np.empty((TILE, sides), np.int64)
    count, furthest = 0, np.float32(0)
    for start in range(0, n, TILE):
        here = slice(start, min(start + TILE, n))
        tile = keys[: here.stop - start]
        reach = embed(
            features32[:, here], features[:, here], scale32, scale, places, tile, weights[here]
        )
        furthest = max(furthest, reach)
        while count + tile.size > len(vertex_keys):
            bits += 1
            table, vertex_keys = hash_table(vertex_keys, count, bits)
        count = enter(tile, table, bits, vertex_keys, count, corners[here])
    return vertex_keys[:count], table, bits, furthest


@jit
def connect(vertex_keys, table, bits, step, neighbours):
    """Find the neighbours (2, M) of all vertices along one axis, a ``step`` of the key."""
    missing = len(vertex_keys)
    before, after = neighbours[0], neighbours[1]
    for v in range(missing):
        before[v] = after[v] = missing
    for v in range(missing):
        other = table[find(vertex_keys[v] + step, table, bits, vertex_keys)]
        if other != EMPTY:
            before[v] = other
            after[np.uint64(other)] = v


@jit
def follow(neighbours, chains):
    """Write the chains of one axis from its neighbours (2, M); return the number of entries.

    A chain is a run of vertices, each the neighbour of the next; its last vertex v is written ~v.
    The blur follows them. Vertices with no neighbour on the axis are in no chain: the blur does not
    change them.
    """
    before, after = neighbours[0], neighbours[1]
    missing, count = len(before), np.uint64(0)
    for start in range(missing):
        if after[start] == missing and before[start] != missing:
            v = np.int32(start)
            while v != missing:
                chains[count] = v
                count += np.uint64(1)
                v = before[np.uint64(v)]
            chains[count - np.uint64(1)] = ~chains[count - np.uint64(1)]
    return count
