"""The definitions: every operation in plain NumPy, forward beside backward. Read these first.

Arguments are canonical (batched arrays of one dtype, pairs instead of numbers, checked by
`minideeplab.functional`), arrays need not be contiguous and are never modified. The fast twins in
`minideeplab.backends` export the same names and must agree with these.
"""

from minideeplab.ops.activation import (
    dropout,
    dropout_backward,
    log_softmax,
    log_softmax_backward,
    relu,
    relu_backward,
    softmax,
    softmax_backward,
)
from minideeplab.ops.conv import (
    conv2d,
    conv2d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    linear,
    linear_backward,
)
from minideeplab.ops.im2col import fold, fold_backward, unfold, unfold_backward
from minideeplab.ops.loss import cross_entropy, cross_entropy_backward
from minideeplab.ops.norm import batch_norm, batch_norm_backward
from minideeplab.ops.padding import pad, pad_backward
from minideeplab.ops.pool import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from minideeplab.ops.resize import interpolate, interpolate_backward

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "dropout_backward",
    "fold",
    "fold_backward",
    "interpolate",
    "interpolate_backward",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "pad",
    "pad_backward",
    "relu",
    "relu_backward",
    "softmax",
    "softmax_backward",
    "unfold",
    "unfold_backward",
]
