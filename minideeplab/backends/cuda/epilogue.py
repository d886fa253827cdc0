"""What follows a convolution in one pass over its result: scale, shift and rectifier.

An element of y (N, F, P, Q) a thread. Neighbours share a channel, and so its scale and shift:

    thread     0   1   2   3 | 4   5   6   7 | 8 ...         P Q = 4 pixels
    channel    0   0   0   0 | 1   1   1   1 | 2 ...         one scale and one shift for each

The matrix product has just written y to memory; it is read and written once more, not once for the
bias, once for the norm and once for the ReLU.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from minideeplab.backends.cuda.conv import conv2d
from minideeplab.backends.cuda.device import flat, xp
from minideeplab.backends.cuda.launch import kernel
from minideeplab.ops.window import Padding, Pair


@kernel("epilogue.cu")
def finish(y, scale, shift, size, channels, pixels, rectify):
    """y = y scale + shift, channel by channel, in place; at least 0 if ``rectify``; NaN stays."""
    zero = y.dtype.type(0)
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        c = i // pixels % channels
        value = y[i] * scale[c] + shift[c]
        if rectify and value <= zero:
            value = zero
        y[i] = value


def conv2d_epilogue(
    x: Any,
    w: Any,
    shift: Any,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    *,
    scale: Any = None,
    rectify: bool = False,
) -> Any:
    """``conv2d(x, w) * scale + shift``, and its maximum with 0 if ``rectify``.

    Both are (F,) or None; then they are 1 and 0.
    """
    y = conv2d(x, w, None, stride, padding, dilation, groups)
    scale = xp.ones(len(w), y.dtype) if scale is None else scale
    shift = xp.zeros(len(w), y.dtype) if shift is None else shift
    sizes = (y.size, len(w), y.shape[2] * y.shape[3], int(rectify))
    finish(y.size, y.reshape(-1), flat(scale), flat(shift), *sizes)
    return y
