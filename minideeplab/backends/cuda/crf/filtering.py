"""Lattices on the device, their filter and its gradient. Definition: ``ops/crf/lattice.py``.

Values are stored point by point, (N, C), vertices as (M+1, C) with a last row of zeros, so that the
C labels of one vertex are contiguous. One thread per label of a point (or vertex):

    thread        0    1    2  |  3    4    5         C = 3 labels
    point         0    0    0  |  1    1    1
    label         0    1    2  |  0    1    2         the labels of a corner: one cache line

Points share corners, so splat adds atomically in no fixed order: the last digits of a result differ
between runs. Blur writes to a second array, because it reads unmodified neighbours.

``corner_products`` is the gradient of a^T K b with respect to the weights; one thread per corner of
a point:

    thread         0    1    2   |   N  N+1  N+2 ...
    corner         0    0    0   |   1   1    1          row r of dweights (D+1, N)
    point          0    1    2   |   0   1    2

    dweights[r, p] = alpha sum_c (a[p, c] blurred(b)[corner, c] + b[p, c] blurred'(a)[corner, c])
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from minideeplab.arrays import on_device as is_on_device
from minideeplab.arrays import to_host
from minideeplab.backends.cuda.crf.embedding import barycentric_backward
from minideeplab.backends.cuda.device import to_device, xp
from minideeplab.backends.cuda.launch import kernel
from minideeplab.ops.crf.lattice import Lattice


class Tables(NamedTuple):
    """A lattice's arrays on the device: corners and weights (D+1, N), neighbours (D+1, 2, M)."""

    corners: Any
    weights: Any
    neighbours: Any


class DeviceLattice(Lattice):
    """A lattice with its arrays on the device (``tables``), copied to the host on first access."""

    def __init__(self, tables: Tables, alpha: float):
        values = {"tables": tables, "n_vertices": tables.neighbours.shape[2], "alpha": alpha}
        self.__dict__.update(values)

    corners = cached_property(lambda self: to_host(self.tables.corners))
    weights = cached_property(lambda self: to_host(self.tables.weights))
    neighbours = cached_property(lambda self: to_host(self.tables.neighbours))

    def filter(self, values: np.ndarray, reverse: bool = False) -> np.ndarray:
        """Filter values (C, N) on the device; see `filter_lattice`."""
        return filter_lattice(self, values, reverse)


def tables_of(lattice: Lattice) -> Tables:
    """The arrays of any lattice on the device, copied there if another backend built it."""
    if isinstance(lattice, DeviceLattice):
        return lattice.tables
    arrays = (lattice.corners, lattice.weights, lattice.neighbours)
    return Tables(*(to_device(np.ascontiguousarray(array)) for array in arrays))


@kernel("filter.cu")
def splat(values, corners, weights, vertices, points, sides, labels):
    """Add the values (N, C) to the corners (D+1, N) of their points, by weight."""
    for e in range(cuda.grid(1), points * labels, cuda.gridsize(1)):
        p, c = e // labels, e % labels
        for r in range(sides):
            k = r * points + p
            cuda.atomic.add(vertices, corners[k] * labels + c, weights[k] * values[e])


@kernel("filter.cu")
def blur(source, neighbours, target, vertices, labels):
    """target = source + half of both neighbours along one axis (2, M); row M stays zero."""
    half = source.dtype.type(0.5)
    for e in range(cuda.grid(1), (vertices + 1) * labels, cuda.gridsize(1)):
        v, c = e // labels, e % labels
        value = source[e]
        if v < vertices:
            before = neighbours[v] * labels + c
            behind = neighbours[vertices + v] * labels + c
            value += half * (source[before] + source[behind])
        target[e] = value


@kernel("filter.cu")
def slice_points(vertices, corners, weights, values, alpha, points, sides, labels):
    """Read the values (N, C) of the points from their corners, times alpha."""
    for e in range(cuda.grid(1), points * labels, cuda.gridsize(1)):
        p, c = e // labels, e % labels
        total = values.dtype.type(0)
        for r in range(sides):
            k = r * points + p
            total += weights[k] * vertices[corners[k] * labels + c]
        values[e] = alpha * total


@kernel("filter.cu")
def corner_products(a, b, forward, backward, corners, dweights, alpha, points, sides, labels):
    """dweights (D+1, N) as above; a, b (N, C), forward, backward (M+1, C)."""
    for e in range(cuda.grid(1), sides * points, cuda.gridsize(1)):
        place, row = e % points * labels, corners[e] * labels
        total = dweights.dtype.type(0)
        for c in range(labels):
            total += a[place + c] * forward[row + c] + b[place + c] * backward[row + c]
        dweights[e] = alpha * total


def blur_axes(vertices: Any, spare: Any, neighbours: Any, reverse: bool) -> tuple[Any, Any]:
    """Blur vertices (M+1, C) along all axes of neighbours (A, 2, M): (blurred, the other array)."""
    rows, labels = vertices.shape
    for axis in neighbours[::-1] if reverse else neighbours:
        blur(vertices.size, vertices, axis, spare, rows - 1, labels)
        vertices, spare = spare, vertices
    return vertices, spare


def _on_vertices(lattice: Lattice, rows: Any, reverse: bool) -> tuple[Any, Any]:
    """Splat rows (N, C) and blur: (vertices (M+1, C), the lattice's weights in their dtype)."""
    tables, (n, labels) = tables_of(lattice), rows.shape
    weights = tables.weights.astype(rows.dtype, copy=False)
    vertices = xp.zeros((lattice.n_vertices + 1, labels), rows.dtype)
    sizes = (n, len(tables.corners), labels)
    splat(rows.size, rows, tables.corners, weights, vertices, *sizes)
    return blur_axes(vertices, xp.empty_like(vertices), tables.neighbours, reverse)[0], weights


def filter_lattice(lattice: Lattice, values: np.ndarray, reverse: bool = False) -> np.ndarray:
    """Filter ``values`` (C, N) with the lattice's Gaussian K, or its adjoint if ``reverse``."""
    tables, (labels, n) = tables_of(lattice), values.shape
    rows = xp.ascontiguousarray(to_device(values).T)  # (N, C)
    vertices, weights = _on_vertices(lattice, rows, reverse)
    result, alpha = xp.empty_like(rows), values.dtype.type(lattice.alpha)
    sizes = (n, len(tables.corners), labels)
    slice_points(result.size, vertices, tables.corners, weights, result, alpha, *sizes)
    result = xp.ascontiguousarray(result.T)
    return result if is_on_device(values) else to_host(result)


def lattice_gradient(lattice: Lattice, features: Any, a: Any, b: Any) -> Any:
    """Gradient (D, N) of a^T (alpha S' B S) b for a, b (C, N), on the device if a is."""
    corners, alpha = tables_of(lattice).corners, a.dtype.type(lattice.alpha)
    rows = [xp.ascontiguousarray(to_device(values).T) for values in (a, b)]  # (N, C)
    forward, _ = _on_vertices(lattice, rows[1], reverse=False)
    backward, _ = _on_vertices(lattice, rows[0], reverse=True)
    (sides, points), dweights = corners.shape, xp.empty(corners.shape, a.dtype)
    arrays = (*rows, forward, backward, corners, dweights)
    corner_products(dweights.size, *arrays, alpha, points, sides, len(a))
    result = barycentric_backward(features, dweights)
    return result if is_on_device(a) else to_host(result)
