"""Sums of whole arrays, and the optimiser's: elementwise, each number read and written once."""

from __future__ import annotations

import numpy as np

from minideeplab import ops
from minideeplab.backends.numba_cpu.layout import common_order
from minideeplab.backends.numba_cpu.runtime.parallel import in_pieces
from minideeplab.backends.numba_cpu.runtime.parallel_kernel import together


def add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a + b, for arrays of one shape and type."""
    (a, b), back = common_order(a, b)
    y = np.empty_like(a)
    in_pieces(_add, a.size, *(x.reshape(-1) for x in (a, b, y)))
    return back(y)


@together
def _add(first, last, me, a, b, y):
    a, b, y = a[first:last], b[first:last], y[first:last]
    for i in range(y.size):
        y[i] = a[i] + b[i]


def sgd_update(
    w: np.ndarray, g: np.ndarray, velocity: np.ndarray, momentum: float, lr: float, decay: float
) -> None:
    """Change w and velocity in place, compiled if all three are contiguous NumPy arrays."""
    arrays = w, g, velocity
    if not all(isinstance(a, np.ndarray) and a.flags.c_contiguous for a in arrays):
        return ops.sgd_update(*arrays, momentum, lr, decay)
    rates = (w.dtype.type(rate) for rate in (momentum, lr, decay))
    in_pieces(_sgd_update, w.size, *(a.reshape(-1) for a in arrays), *rates)
    return None


@together
def _sgd_update(first, last, me, w, g, velocity, momentum, lr, decay):
    w, g, velocity = w[first:last], g[first:last], velocity[first:last]
    for i in range(w.size):
        slope = g[i] + decay * w[i] if decay != 0 else g[i]
        velocity[i] = velocity[i] * momentum + lr * slope
        w[i] -= velocity[i]
