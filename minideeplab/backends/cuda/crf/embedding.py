"""Place points in the permutohedral lattice, one thread per point. See ``ops/crf/lattice.py``.

Arrays have a row for each of the D+1 coordinates and a column for each point. Each thread uses only
its own column, so the arrays serve as private memory for any D, and neighbouring threads access
neighbouring addresses:

    point        0   1   2   3 ...
    elevated_0   .   .   .   .            the thread of point 2 uses the third column
    elevated_1   .   .   .   .            of every array
    ...

As in the definition the simplex is found in float32, whatever the precision of the weights. A GPU
fuses multiply and add, so a point within one rounding error of the border of two simplices may fall
into the other one; its weights then belong to that simplex.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from minideeplab.arrays import on_device as is_on_device
from minideeplab.arrays import to_host
from minideeplab.backends.cuda.device import to_device, xp
from minideeplab.backends.cuda.launch import device_function, kernel
from minideeplab.ops.crf.lattice import elevation_scale


@device_function
def elevate(features, scale, elevated, d, n, p):
    """Map column p of features (D, N) into the hyperplane: column p of elevated (D+1, N)."""
    total = elevated.dtype.type(0)
    for j in range(d, 0, -1):
        scaled = features[(j - 1) * n + p] * scale[j - 1]
        elevated[j * n + p] = total - elevated.dtype.type(j) * scaled
        total += scaled
    elevated[p] = total


@device_function
def find_simplex(elevated, vertex, rank, d, n, p):
    """Column p: the remainder-0 vertex and the ranks of the simplex around the point."""
    side = elevated.dtype.type(d + 1)
    excess = 0
    for i in range(d + 1):
        value = elevated[i * n + p] * (elevated.dtype.type(1) / side)
        quotient = round(value)  # halves to even, as the definition rounds
        vertex[i * n + p] = quotient * (d + 1)
        excess += quotient
    for i in range(d + 1):
        offset = elevated[i * n + p] - elevated.dtype.type(vertex[i * n + p])
        place = excess
        for j in range(d + 1):
            other = elevated[j * n + p] - elevated.dtype.type(vertex[j * n + p])
            if offset < other or (j < i and not other < offset):
                place += 1
        rank[i * n + p] = place
    for i in range(d + 1):
        if rank[i * n + p] < 0:
            rank[i * n + p] += d + 1
            vertex[i * n + p] += d + 1
        elif rank[i * n + p] > d:
            rank[i * n + p] -= d + 1
            vertex[i * n + p] -= d + 1


@device_function
def barycentric(elevated, vertex, rank, weights, d, n, p):
    """Column p of weights (D+1, N): those of the simplex's vertices of remainder 0..D."""
    one = elevated.dtype.type(1)
    inverse = one / elevated.dtype.type(d + 1)
    for r in range(d + 1):
        weights[r * n + p] = elevated.dtype.type(0)
    weights[p] = one
    for i in range(d + 1):
        offset = (elevated[i * n + p] - elevated.dtype.type(vertex[i * n + p])) * inverse
        upper = d - rank[i * n + p]
        weights[upper * n + p] += offset
        if upper < d:
            weights[(upper + 1) * n + p] -= offset
        else:
            weights[p] -= offset


@kernel("lattice.cu")
def embed(
    features32, scale32, features, scale, places, elevated32, elevated, vertex, rank, weights,
    keys, d, n,
):  # fmt: skip
    """Fill weights and keys (D+1, N) of the points' corners; the other arrays are scratch.

    A corner's key is the sum of its coordinates times ``places`` (D+1,), of which the last is 0.
    """
    for p in range(cuda.grid(1), n, cuda.gridsize(1)):
        elevate(features32, scale32, elevated32, d, n, p)
        find_simplex(elevated32, vertex, rank, d, n, p)
        elevate(features, scale, elevated, d, n, p)
        barycentric(elevated, vertex, rank, weights, d, n, p)
        for r in range(d + 1):
            key = 0
            for i in range(d):
                step = r if rank[i * n + p] <= d - r else r - d - 1
                key += places[i] * (vertex[i * n + p] + step)
            keys[r * n + p] = key


@kernel("lattice.cu")
def weights_gradient(
    features32, scale32, dweights, scale, elevated32, vertex, rank, dfeatures, d, n
):
    """dfeatures (D, N) from dweights (D+1, N), in the simplex that `embed` finds.

    ``scale`` (D,) is that of the elevation over D+1. A coordinate of rank r adds to the weight of
    corner D - r and subtracts from the next; then follows the adjoint of `elevate`.
    """
    for p in range(cuda.grid(1), n, cuda.gridsize(1)):
        elevate(features32, scale32, elevated32, d, n, p)
        find_simplex(elevated32, vertex, rank, d, n, p)
        before = dweights.dtype.type(0)
        for j in range(d + 1):
            corner = d - rank[j * n + p]
            behind = corner + 1 if corner < d else 0
            delevated = dweights[corner * n + p] - dweights[behind * n + p]
            if j > 0:
                step = before - dweights.dtype.type(j) * delevated
                dfeatures[(j - 1) * n + p] = scale[j - 1] * step
            before += delevated


def embed_points(features: np.ndarray, places: np.ndarray) -> tuple[Any, Any, Any]:
    """Weights and keys (D+1, N) of the points' corners, and the largest lattice coordinate."""
    (d, n), dtype = features.shape, features.dtype
    scale = elevation_scale(d)
    points = to_device(features)
    tables = (scale.astype(np.float32), scale.astype(dtype), places[: d + 1])
    scale32, scale, places = map(to_device, tables)
    kinds = (np.float32, dtype, np.int32, np.int32, dtype, np.int64)
    outputs = [xp.empty((d + 1, n), kind) for kind in kinds]
    embed(n, points.astype(np.float32, copy=False), scale32, points, scale, places, *outputs, d, n)
    _, _, vertex, _, weights, keys = outputs
    return weights, keys, xp.abs(vertex).max()


def barycentric_backward(features: Any, dweights: Any) -> Any:
    """Gradient (D, N) of the features from dweights (D+1, N), on the device if dweights is."""
    d, n = features.shape
    scale, dtype = elevation_scale(d), dweights.dtype
    inputs = (to_device(features).astype(np.float32), to_device(scale.astype(np.float32)))
    factors = to_device((scale / (d + 1)).astype(dtype))
    scratch = [xp.empty((d + 1, n), kind) for kind in (np.float32, np.int32, np.int32)]
    result = xp.empty((d, n), dtype)
    weights_gradient(n, *inputs, to_device(dweights), factors, *scratch, result, d, n)
    return result if is_on_device(dweights) else to_host(result)
