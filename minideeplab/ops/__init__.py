"""The definitions: every operation in plain NumPy, forward beside backward. Read these first.

Arguments are canonical: batched arrays of one dtype, pairs instead of numbers, checked by
`minideeplab.functional`. Arrays need not be contiguous and are never modified, but for those of
`sgd_update`. This module is the "numpy" backend. The other backends export the same names and must
agree with these.

To step through an operation with a debugger, select these: with ``use_backend("numpy")`` a call
such as ``F.conv2d(x, w)`` is three frames, the wrapper for unbatched input, the checks in
`functional/conv.py`, and the definition in `ops/conv.py`.
"""

from minideeplab.ops.activation import (
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
from minideeplab.ops.conv import (
    ALGORITHMS,
    conv2d,
    conv2d_backward,
    conv2d_epilogue,
    conv_transpose2d,
    conv_transpose2d_backward,
    linear,
    linear_backward,
)
from minideeplab.ops.crf.kernel_gradients import barycentric_backward, lattice_gradient
from minideeplab.ops.crf.lattice import build_lattice, filter_lattice
from minideeplab.ops.crf.meanfield import mean_field
from minideeplab.ops.crf.self_term import lattice_diagonal, lattice_diagonal_backward
from minideeplab.ops.elementwise import add, sgd_update
from minideeplab.ops.im2col import fold, fold_backward, unfold, unfold_backward
from minideeplab.ops.loss import cross_entropy, cross_entropy_backward
from minideeplab.ops.norm import (
    batch_norm,
    batch_norm_backward,
    batch_norm_relu,
    batch_norm_relu_backward,
)
from minideeplab.ops.padding import pad, pad_backward
from minideeplab.ops.pool import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    max_pool2d_without_indices,
    max_pool2d_without_indices_backward,
)
from minideeplab.ops.resize import interpolate, interpolate_backward

__all__ = [
    "ALGORITHMS",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "add",
    "avg_pool2d",
    "avg_pool2d_backward",
    "barycentric_backward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_relu",
    "batch_norm_relu_backward",
    "build_lattice",
    "conv2d",
    "conv2d_backward",
    "conv2d_epilogue",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "dropout_backward",
    "filter_lattice",
    "fold",
    "fold_backward",
    "interpolate",
    "interpolate_backward",
    "lattice_diagonal",
    "lattice_diagonal_backward",
    "lattice_gradient",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_without_indices",
    "max_pool2d_without_indices_backward",
    "mean_field",
    "pad",
    "pad_backward",
    "relu",
    "relu_backward",
    "sgd_update",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "unfold",
    "unfold_backward",
]
