"""The diagonal of the lattice's kernel, and its gradient. Definition: ``crf/selfterm.py``.

A point a thread, with a column of ``ring`` for itself. Its D+1 corners form a ring, and from corner
r the blur reaches corner s in two ways, forward or backward round it:

    corner        0 --ring_0--> 1 --ring_1--> 2 --ring_2--> 0         ring_r: the axis of this step

Each step halves the weight. They happen in the order of the axes, not in that of the ring, so each
way is walked through the table of neighbours, and ends where one is missing.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from minideeplab.arrays import on_device as is_on_device
from minideeplab.arrays import to_host
from minideeplab.backends.cuda.crf.lattice import Tables, on_device
from minideeplab.backends.cuda.device import flat, to_device, xp
from minideeplab.backends.cuda.launch import Kernel, device_function, kernel
from minideeplab.ops.crf.lattice import Lattice


@device_function
def find_ring(corners, neighbours, ring, points, sides, vertices, p):
    """Column p of ring (D+1, N): the axis that leads from corner r to corner r + 1."""
    for r in range(sides):
        here, there = corners[r * points + p], corners[(r + 1) % sides * points + p]
        ring[r * points + p] = 0
        for a in range(sides - 1, -1, -1):
            if neighbours[(2 * a + 1) * vertices + here] == there:
                ring[r * points + p] = a


@device_function
def arrives(corners, neighbours, ring, start, length, forward, points, sides, vertices, p):
    """Whether the blur gets ``length`` corners round the ring from ``start``."""
    place = corners[start * points + p]
    for axis in range(sides):
        for k in range(length):
            r = (start + k) % sides if forward == 1 else (start + sides - 1 - k) % sides
            if place < vertices and ring[r * points + p] == axis:
                place = neighbours[(2 * axis + forward) * vertices + place]
    return place < vertices


@kernel("selfterm.cu")
def own_weight(corners, weights, neighbours, ring, result, alpha, points, sides, vertices):
    """result (N,) = alpha sum_rs w_r B_rs w_s; ring (D+1, N) is scratch."""
    half = result.dtype.type(0.5)
    for p in range(cuda.grid(1), points, cuda.gridsize(1)):
        find_ring(corners, neighbours, ring, points, sides, vertices, p)
        total = result.dtype.type(0)
        for r in range(sides):
            reached, share = weights[r * points + p], result.dtype.type(1)
            for length in range(1, sides + 1):
                share *= half
                for forward in range(2):
                    s = (r + length) % sides if forward == 1 else (r + sides - length) % sides
                    if arrives(corners, neighbours, ring, r, length, forward,
                               points, sides, vertices, p):  # fmt: skip
                        reached += share * weights[s * points + p]
            total += weights[r * points + p] * reached
        result[p] = alpha * total


@kernel("selfterm.cu")
def own_weight_gradient(
    ddiagonal, corners, weights, neighbours, ring, dweights, alpha, points, sides, vertices
):
    """dweights (D+1, N) of `own_weight`, from ddiagonal (N,)."""
    half = weights.dtype.type(0.5)
    for p in range(cuda.grid(1), points, cuda.gridsize(1)):
        find_ring(corners, neighbours, ring, points, sides, vertices, p)
        scale = alpha * ddiagonal[p]
        for r in range(sides):
            dweights[r * points + p] = (scale + scale) * weights[r * points + p]
        for r in range(sides):
            share = scale
            for length in range(1, sides + 1):
                share *= half
                for forward in range(2):
                    s = (r + length) % sides if forward == 1 else (r + sides - length) % sides
                    if arrives(corners, neighbours, ring, r, length, forward,
                               points, sides, vertices, p):  # fmt: skip
                        dweights[r * points + p] += share * weights[s * points + p]
                        dweights[s * points + p] += share * weights[r * points + p]


def _over_points(run: Kernel, lattice: Lattice, tables: Tables, result: Any, *first: Any) -> Any:
    sides, points = tables.corners.shape
    ring = xp.empty(tables.corners.shape, tables.corners.dtype)
    arrays = (*first, tables.corners, tables.weights, tables.neighbours, ring, result)
    alpha = result.dtype.type(lattice.alpha)
    run(points, *map(flat, arrays), alpha, points, sides, lattice.n_vertices)
    return result


def lattice_diagonal(lattice: Lattice) -> Any:
    """The diagonal of K, (N,), on the host, in the dtype of the lattice's weights."""
    tables = on_device(lattice)
    result = xp.empty(tables.weights.shape[1], tables.weights.dtype)
    return to_host(_over_points(own_weight, lattice, tables, result))


def lattice_diagonal_backward(lattice: Lattice, ddiagonal: Any) -> Any:
    """The gradient of the lattice's weights, (D+1, N), from ddiagonal (N,), on its side."""
    tables = on_device(lattice)
    dweights = xp.empty(tables.weights.shape, tables.weights.dtype)
    first = to_device(ddiagonal).astype(dweights.dtype, copy=False)
    dweights = _over_points(own_weight_gradient, lattice, tables, dweights, first)
    return dweights if is_on_device(ddiagonal) else to_host(dweights)
