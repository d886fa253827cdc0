"""The operations of networks, called as in `torch.nn.functional`: same names, order and defaults.

Arguments are NumPy arrays or Tensors, all float32 or all float64, and never modified. The result
has their dtype; it is a Tensor, recorded for `backward`, if an argument is a Tensor.

These functions check the arguments and call the backend in use. The default backend is compiled
and takes many calls. To step through an operation with a debugger, select the definitions first::

    with mdl.use_backend("numpy"):
        y = F.conv2d(x, w)

That is three frames: the wrapper that accepts input without a batch axis, the checks in this
package (``conv.py``), and the definition (``minideeplab/ops/conv.py``).
"""

from minideeplab.functional.activation import (
    dropout,
    dropout_rng,
    log_softmax,
    relu,
    sigmoid,
    softmax,
)
from minideeplab.functional.combine import cat, maximum
from minideeplab.functional.conv import conv2d, conv_transpose2d, linear
from minideeplab.functional.im2col import fold, unfold
from minideeplab.functional.loss import cross_entropy
from minideeplab.functional.norm import batch_norm
from minideeplab.functional.padding import pad
from minideeplab.functional.pool import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from minideeplab.functional.resize import interpolate

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "batch_norm",
    "cat",
    "conv2d",
    "conv_transpose2d",
    "cross_entropy",
    "dropout",
    "dropout_rng",
    "fold",
    "interpolate",
    "linear",
    "log_softmax",
    "max_pool2d",
    "maximum",
    "pad",
    "relu",
    "sigmoid",
    "softmax",
    "unfold",
]
