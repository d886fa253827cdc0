"""Filter values on the lattice: splat, blur, slice. Definition: ``crf/lattice.py``.

Values lie point by point, (N, C), vertices (M+1, C) with a last row of zeros, so that the C labels
of one of them are neighbours in memory. A label of a point (or vertex) a thread:

    thread        0    1    2  |  3    4    5         C = 3 labels
    point         0    0    0  |  1    1    1
    label         0    1    2  |  0    1    2         the labels of a corner: one cache line

Points share corners, so splatting adds atomically, in any order: the last digits of a result differ
from one run to the next. Blurring writes to a second array, since the neighbours must be read as
they were.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from minideeplab.arrays import on_device as is_on_device
from minideeplab.arrays import to_host
from minideeplab.backends.cuda.crf.lattice import on_device
from minideeplab.backends.cuda.device import flat, to_device, xp
from minideeplab.backends.cuda.launch import kernel
from minideeplab.ops.crf.lattice import Lattice


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


def blur_axes(vertices: Any, spare: Any, neighbours: Any, reverse: bool) -> tuple[Any, Any]:
    """Blur vertices (M+1, C) along all axes of neighbours (A, 2, M): (blurred, the other array)."""
    rows, labels = vertices.shape
    for axis in neighbours[::-1] if reverse else neighbours:
        arrays = (vertices.reshape(-1), flat(axis), spare.reshape(-1))
        blur(vertices.size, *arrays, rows - 1, labels)
        vertices, spare = spare, vertices
    return vertices, spare


def on_vertices(lattice: Lattice, rows: Any, reverse: bool) -> tuple[Any, Any]:
    """Splat rows (N, C) and blur: (vertices (M+1, C), the lattice's weights in their dtype)."""
    tables, (n, labels) = on_device(lattice), rows.shape
    weights = tables.weights.astype(rows.dtype, copy=False)
    vertices = xp.zeros((lattice.n_vertices + 1, labels), rows.dtype)
    arrays = map(flat, (rows, tables.corners, weights, vertices))
    splat(rows.size, *arrays, n, len(tables.corners), labels)
    vertices, _ = blur_axes(vertices, xp.empty_like(vertices), tables.neighbours, reverse)
    return vertices, weights


def filter_lattice(lattice: Lattice, values: np.ndarray, reverse: bool = False) -> np.ndarray:
    """Filter ``values`` (C, N) with the lattice's Gaussian K, or its adjoint if ``reverse``."""
    tables, (labels, n) = on_device(lattice), values.shape
    rows = xp.ascontiguousarray(to_device(values).T)  # (N, C)
    vertices, weights = on_vertices(lattice, rows, reverse)
    result = xp.empty_like(rows)
    arrays = map(flat, (vertices, tables.corners, weights, result))
    sizes = (n, len(tables.corners), labels)
    slice_points(result.size, *arrays, values.dtype.type(lattice.alpha), *sizes)
    result = xp.ascontiguousarray(result.T)
    return result if is_on_device(values) else to_host(result)
