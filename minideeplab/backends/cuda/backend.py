"""The module of `use_backend("cuda")`: every name of ``minideeplab.ops`` on the GPU.

Importing it raises ImportError, with the reason, if no GPU can be used. Every operation accepts
host arrays too.
"""

from __future__ import annotations

import numba

from minideeplab import ops
from minideeplab.backends.cuda import (
    activation,
    conv,
    im2col,
    loss,
    matmul,
    norm,
    padding,
    pool,
    probe,
    resize,
)
from minideeplab.backends.cuda.conv import ALGORITHMS as ALGORITHMS
from minideeplab.backends.cuda.crf import embedding, filtering, lattice, meanfield, self_term
from minideeplab.backends.cuda.device import accepts_host_arrays
from minideeplab.backends.cuda.device import to_device as to_device

probe.require()
numba.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # small arrays make small grids

_OPERATIONS = (activation, conv, im2col, loss, matmul, norm, padding, pool, resize)
_CRF = (embedding, filtering, lattice, meanfield, self_term)  # these accept host arrays themselves
_DEFINITIONS = ("add", "sgd_update")  # run unchanged on arrays of either side

dropout_backward = accepts_host_arrays(ops.dropout_backward)


def _find(name: str) -> object:
    """The function of this name for host and device arrays."""
    for module in _OPERATIONS:
        if hasattr(module, name):
            return accepts_host_arrays(getattr(module, name))
    modules = (*_CRF, ops) if name in _DEFINITIONS else _CRF
    for module in modules:
        if hasattr(module, name):
            return getattr(module, name)
    raise ImportError(f"the cuda backend has no {name}")


globals().update({name: _find(name) for name in ops.__all__ if name not in globals()})
