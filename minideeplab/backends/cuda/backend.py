"""The module of `use_backend("cuda")`: the operations of ``minideeplab.ops`` on the GPU.

Importing it raises ImportError, with the reason, if no GPU can be used. Every operation accepts
host arrays too. `ops.dropout_backward` runs unchanged on CuPy arrays.
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
from minideeplab.backends.cuda.crf.filtering import filter_lattice as filter_lattice
from minideeplab.backends.cuda.crf.filtering import lattice_gradient as lattice_gradient
from minideeplab.backends.cuda.crf.filtering import weights_backward as weights_backward
from minideeplab.backends.cuda.crf.lattice import build_lattice as build_lattice
from minideeplab.backends.cuda.crf.meanfield import mean_field as mean_field
from minideeplab.backends.cuda.crf.self_term import lattice_diagonal as lattice_diagonal
from minideeplab.backends.cuda.crf.self_term import (
    lattice_diagonal_backward as lattice_diagonal_backward,
)
from minideeplab.backends.cuda.device import accepts_host_arrays

probe.require()
numba.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # small arrays make small grids

_MODULES = (activation, conv, im2col, loss, matmul, norm, padding, pool, resize)


def _find(name: str) -> object:
    """The function of this name from the modules above."""
    for module in _MODULES:
        if hasattr(module, name):
            return getattr(module, name)
    raise ImportError(f"the cuda backend has no {name}")


dropout_backward = accepts_host_arrays(ops.dropout_backward)
for _name in (*ops.__all__, "conv2d_epilogue"):
    if _name not in globals():
        globals()[_name] = accepts_host_arrays(_find(_name))
