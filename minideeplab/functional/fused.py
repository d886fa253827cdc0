"""A convolution or batch norm in one pass with the ReLU that follows.

A convolution's result that is written to memory only to be read, rectified and written again costs
more time than the arithmetic. So `nn.run_layers` fuses a convolution with its ReLU, and, when
nothing is recorded, with the batch norm between them, whose statistics are constants then. When
gradients are recorded, batch norm is fused with its ReLU only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.backends import current
from minideeplab.functional.arguments import Array, accepts_unbatched, per_channel, result
from minideeplab.functional.conv import checked
from minideeplab.tensor import Tensor


@accepts_unbatched(ndim=3)
def conv2d_relu(input: Array, weight: Array, bias: Array | None, *options: Any) -> Array:
    """relu(conv2d(...)) of input, weight, bias, stride, padding, dilation and groups, recorded."""
    (x, w, b), options = checked(input, weight, bias, *options)
    backend = current()
    y = backend.conv2d_epilogue(x, w, b, *options, rectify=True)

    def backward(dy, needs):
        return backend.conv2d_backward(backend.relu_backward(dy, y), x, w, *options, needs)

    return result(y, (input, weight, bias), backward)


@accepts_unbatched(ndim=3)
def conv2d_scaled(
    input: Array,
    weight: Array,
    scale: np.ndarray,
    shift: np.ndarray,
    *options: Any,
    rectify: bool = False,
) -> Array:
    """conv2d(input, weight, None, *options) * scale + shift, with scale and shift (F,); then ReLU.

    ReLU only if ``rectify``. Not recorded: batch norm with constant statistics, for inference.
    """
    (x, w, _), options = checked(input, weight, None, *options)
    per_channel("scale", scale, len(w))
    per_channel("shift", shift, len(w))
    y = current().conv2d_epilogue(x, w, shift, *options, scale=scale, rectify=rectify)
    return Tensor(y) if isinstance(input, Tensor) or isinstance(weight, Tensor) else y
