"""What lesson 10 provides: numbering the lattice's vertices and finding their neighbours."""

from __future__ import annotations

import numpy as np


def connect(vertex: np.ndarray, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number all vertices that some point touches, and link each to its neighbours.

    Args:
        vertex: the remainder-0 vertex of each point's simplex, (D+1, N) whole numbers.
        rank: of each coordinate's offset, 0 for the largest, (D+1, N).

    Returns:
        corners (D+1, N): the number of the vertex of remainder 0, 1, ..., D of each point.
        neighbours (D+1, 2, M): the numbers of the vertices before and behind each of the M
        vertices on each axis. Where nobody is, the number is M.
    """
    size, points = vertex.shape
    table: dict[tuple[int, ...], int] = {}  # coordinates of a vertex: its number
    corners = np.empty((size, points), dtype=np.int64)
    for remainder in range(size):
        keys = vertex + np.where(rank < size - remainder, remainder, remainder - size)
        for point, key in enumerate(map(tuple, keys.T.tolist())):
            corners[remainder, point] = table.setdefault(key, len(table))

    neighbours = np.full((size, 2, len(table)), len(table))
    for axis in range(size):
        step = [size - 1 if i == axis else -1 for i in range(size)]
        for key, number in table.items():
            there = table.get(tuple(k + s for k, s in zip(key, step, strict=True)))
            if there is not None:
                neighbours[axis, 1, number] = there
                neighbours[axis, 0, there] = number
    return corners, neighbours
