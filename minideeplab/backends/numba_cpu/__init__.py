"""The fast CPU backend: the names of ``minideeplab.ops``, compiled with Numba, on all cores.

Where a compiled kernel is no faster than NumPy (matmuls, gathers, reshapes), the definition itself
is the backend's function. The first import takes every definition; those that follow replace it.
"""

from __future__ import annotations

from minideeplab.ops import *
from minideeplab.ops import __all__ as __all__

# isort: split

from minideeplab.backends.numba_cpu.activation import (
    dropout,
    dropout_backward,
    log_softmax,
    log_softmax_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
)
from minideeplab.backends.numba_cpu.conv_transpose import (
    conv_transpose2d,
    conv_transpose2d_backward,
)
from minideeplab.backends.numba_cpu.convolution import (
    ALGORITHMS,
    conv2d,
    conv2d_backward,
    conv2d_epilogue,
)
from minideeplab.backends.numba_cpu.crf import build_lattice, filter_lattice, mean_field
from minideeplab.backends.numba_cpu.elementwise import add, sgd_update
from minideeplab.backends.numba_cpu.loss import cross_entropy, cross_entropy_backward
from minideeplab.backends.numba_cpu.max_pool import (
    max_pool2d_without_indices,
    max_pool2d_without_indices_backward,
)
from minideeplab.backends.numba_cpu.norm import (
    batch_norm,
    batch_norm_backward,
    batch_norm_relu,
    batch_norm_relu_backward,
)
from minideeplab.backends.numba_cpu.pool import (
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from minideeplab.backends.numba_cpu.resize import interpolate, interpolate_backward
from minideeplab.backends.numba_cpu.runtime.malloc import INFERENCE, keep_freed_memory

keep_freed_memory(INFERENCE)
