"""Elementwise addition and the SGD update, in one pass over memory."""

from __future__ import annotations

import numpy as np

from minideeplab import ops
from minideeplab.backends.numba_cpu.layout import common_order
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_kernel, parallel_range


def add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a + b, for arrays of one shape and type."""
    (a, b), restore = common_order(a, b)
    y = np.empty_like(a)
    parallel_range(_add, a.size, *(x.reshape(-1) for x in (a, b, y)))
    return restore(y)


@parallel_kernel
def _add(first, last, thread_id, a, b, y):
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
    parallel_range(_sgd_update, w.size, *(a.reshape(-1) for a in arrays), *rates)
    return None


@parallel_kernel
def _sgd_update(first, last, thread_id, w, g, velocity, momentum, lr, decay):
    w, g, velocity = w[first:last], g[first:last], velocity[first:last]
    for i in range(w.size):
        slope = g[i] + decay * w[i] if decay != 0 else g[i]
        velocity[i] = velocity[i] * momentum + lr * slope
        w[i] -= velocity[i]
