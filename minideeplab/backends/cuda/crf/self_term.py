"""The diagonal of the lattice's kernel, and its gradient. Definition: ``ops/crf/self_term.py``.

One thread per point, with its own column of ``ring``. The D+1 corners of a point form a ring. From
corner r the blur reaches corner s along two paths, forward or backward round the ring:

    corner        0 --ring_0--> 1 --ring_1--> 2 --ring_2--> 0         ring_r: the axis of this step

Each step halves the weight. Steps are applied in the order of the axes, not of the ring, so each
path is followed through the table of neighbours and ends where a neighbour is missing.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from minideeplab.arrays import on_device as is_on_device
from minideeplab.arrays import to_host
from minideeplab.backends.cuda.crf.filtering import Tables, tables_of
from minideeplab.backends.cuda.device import to_device, xp
from minideeplab.backends.cuda.launch import Kernel, device_function, kernel
from minideeplab.ops.crf.lattice import Lattice


@device_function
def find_ring(corners, neighbours, ring, points, sides, vertices, p):
    """Column p of ring (D+1, N): the axis of the step from corner r to corner r + 1."""
    for r in range(sides):
        here, there = corners[r * points + p], corners[(r + 1) % sides * points + p]
        ring[r * points + p] = 0
        for a in range(sides - 1, -1, -1):
            if neighbours[(2 * a + 1) * vertices + here] == there:
                ring[r * points + p] = a


@device_function
def arrives(corners, neighbours, ring, start, length, forward, points, sides, vertices, p):
    """Whether the blur reaches the corner ``length`` steps round the ring from ``start``."""
    place = corners[start * points + p]
    for axis in range(sides):
        for k in range(length):
            r = (start + k) % sides if forward == 1 else (start + sides - 1 - k) % sides
            if place < vertices and ring[r * points + p] == axis:
                place = neighbours[(2 * axis + forward) * vertices + place]
    return place < vertices


@kernel("self_term.cu")
def diagonal(corners, weights, neighbours, ring, result, alpha, points, sides, vertices):
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


@kernel("self_term.cu")
def diagonal_gradient(
    ddiagonal, corners, weights, neighbours, ring, dweights, alpha, points, sides, vertices
):
    """dweights (D+1, N) of `diagonal`, from ddiagonal (N,)."""
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
    """``result`` filled by a kernel with one thread per point."""
    sides, points = tables.corners.shape
    ring = xp.empty(tables.corners.shape, tables.corners.dtype)
    arrays = (*first, tables.corners, tables.weights, tables.neighbours, ring, result)
    alpha = result.dtype.type(lattice.alpha)
    run(points, *arrays, alpha, points, sides, lattice.n_vertices)
    return result


def lattice_diagonal(lattice: Lattice) -> Any:
    """The diagonal of K, (N,), on the host, in the dtype of the lattice's weights."""
    tables = tables_of(lattice)
    result = xp.empty(tables.weights.shape[1], tables.weights.dtype)
    return to_host(_over_points(diagonal, lattice, tables, result))


def lattice_diagonal_backward(lattice: Lattice, ddiagonal: Any) -> Any:
    """Gradient (D+1, N) of the lattice's weights from ddiagonal (N,), on the device if that is."""
    tables = tables_of(lattice)
    dweights = xp.empty(tables.weights.shape, tables.weights.dtype)
    first = to_device(ddiagonal).astype(dweights.dtype, copy=False)
    dweights = _over_points(diagonal_gradient, lattice, tables, dweights, first)
    return dweights if is_on_device(ddiagonal) else to_host(dweights)
