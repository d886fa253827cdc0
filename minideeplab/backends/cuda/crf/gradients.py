"""How a^T K b changes with the features of the lattice. Definition: ``crf/kernel_gradients.py``.

Both a and b are splatted and blurred as in ``filtering.py``; each corner then sees what the point
would hear there. A corner of a point a thread:

    thread         0    1    2   |   N  N+1  N+2 ...
    corner         0    0    0   |   1   1    1          row r of dweights (D+1, N)
    point          0    1    2   |   0   1    2

    dweights[r, p] = alpha sum_c (a[p, c] blurred(b)[corner, c] + b[p, c] blurred'(a)[corner, c])

``embedding.py`` takes the gradient of the weights on to the features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from minideeplab.arrays import on_device as is_on_device
from minideeplab.arrays import to_host
from minideeplab.backends.cuda.crf.embedding import weights_gradient
from minideeplab.backends.cuda.crf.filtering import on_vertices
from minideeplab.backends.cuda.crf.lattice import on_device
from minideeplab.backends.cuda.device import flat, to_device, xp
from minideeplab.backends.cuda.launch import kernel
from minideeplab.ops.crf.lattice import Lattice, elevation_scale


@kernel("filter.cu")
def corner_products(a, b, forward, backward, corners, dweights, alpha, points, sides, labels):
    """The formula above; a, b (N, C), forward, backward (M+1, C)."""
    for e in range(cuda.grid(1), sides * points, cuda.gridsize(1)):
        place, row = e % points * labels, corners[e] * labels
        total = dweights.dtype.type(0)
        for c in range(labels):
            total += a[place + c] * forward[row + c] + b[place + c] * backward[row + c]
        dweights[e] = alpha * total


def lattice_gradient(lattice: Lattice, features: Any, a: Any, b: Any) -> Any:
    """Gradient (D, N) of a^T (alpha S' B S) b for a, b (C, N), on the side of a."""
    tables, dtype = on_device(lattice), a.dtype
    rows = [xp.ascontiguousarray(to_device(values).T) for values in (a, b)]  # (N, C)
    forward, _ = on_vertices(lattice, rows[1], reverse=False)
    backward, _ = on_vertices(lattice, rows[0], reverse=True)
    sides, points = tables.corners.shape
    dweights = xp.empty((sides, points), dtype)
    arrays = map(flat, (*rows, forward, backward, tables.corners, dweights))
    sizes = (points, sides, len(a))
    corner_products(dweights.size, *arrays, dtype.type(lattice.alpha), *sizes)
    result = barycentric_backward(features, dweights)
    return result if is_on_device(a) else to_host(result)


def barycentric_backward(features: Any, dweights: Any) -> Any:
    """Gradient (D, N) of the features from that of the weights (D+1, N), on the latter's side."""
    d, n = features.shape
    there, dtype = to_device(features), dweights.dtype
    scale = elevation_scale(d)
    inputs = (there.astype(np.float32), to_device(scale.astype(np.float32)), to_device(dweights))
    kinds = (np.float32, np.int32, np.int32)
    scratch = [xp.empty((d + 1) * n, kind) for kind in kinds]
    result = xp.empty((d, n), dtype)
    factors = to_device((scale / (d + 1)).astype(dtype))
    weights_gradient(n, *map(flat, inputs), factors, *scratch, result.reshape(-1), d, n)
    return result if is_on_device(dweights) else to_host(result)
