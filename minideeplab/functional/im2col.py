"""Windows as columns, and back. Definitions: `minideeplab.ops.im2col`."""

from __future__ import annotations

from minideeplab.backends import current
from minideeplab.functional.arguments import (
    Array,
    accepts_unbatched,
    floats,
    images,
    pair,
    result,
    wrong_shape,
)
from minideeplab.ops.window import Pair, output_shape


def _windows(
    size: Pair, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair
) -> tuple[int, int]:
    """How many windows fit, in rows and columns: (P, Q). ValueError if there is none."""
    sides = (padding[0], padding[0]), (padding[1], padding[1])
    out = output_shape(size, kernel_size, stride, sides, dilation)
    if min(out) < 1:
        raise ValueError(
            f"kernel_size: got {kernel_size} with dilation {dilation}, expected to fit into "
            f"{tuple(size)} pixels with padding {padding}"
        )
    return out


@accepts_unbatched(ndim=3)
def unfold(
    input: Array,
    kernel_size: int | Pair,
    dilation: int | Pair = 1,
    padding: int | Pair = 0,
    stride: int | Pair = 1,
) -> Array:
    """Every window of input (N, C, H, W) or (C, H, W) as a column: (N, C*kh*kw, L).

    L = P*Q windows in reading order. Raises ValueError or TypeError for wrong shapes or options.
    """
    (x,) = floats(input)
    kernel, dilation = pair("kernel_size", kernel_size, 1), pair("dilation", dilation, 1)
    padding, stride = pair("padding", padding, 0), pair("stride", stride, 1)
    images(x)
    _windows(x.shape[2:], kernel, dilation, padding, stride)
    options, backend = (kernel, dilation, padding, stride), current()
    shape = x.shape
    return result(
        backend.unfold(x, *options),
        (input,),
        lambda dy, _: (backend.unfold_backward(dy, shape, *options),),
    )


@accepts_unbatched(ndim=2)
def fold(
    input: Array,
    output_size: int | Pair,
    kernel_size: int | Pair,
    dilation: int | Pair = 1,
    padding: int | Pair = 0,
    stride: int | Pair = 1,
) -> Array:
    """Add columns (N, C*kh*kw, L) or (C*kh*kw, L) up into an image (N, C, *output_size).

    Raises ValueError or TypeError for wrong shapes or options.
    """
    (x,) = floats(input)
    size, kernel = pair("output_size", output_size, 1), pair("kernel_size", kernel_size, 1)
    dilation, padding = pair("dilation", dilation, 1), pair("padding", padding, 0)
    stride = pair("stride", stride, 1)
    rows, columns = _windows(size, kernel, dilation, padding, stride)
    taps = kernel[0] * kernel[1]
    if x.ndim != 3 or x.shape[1] == 0 or x.shape[1] % taps or x.shape[2] != rows * columns:
        raise wrong_shape("input", x, f"(N, a multiple of {taps} taps, {rows * columns} windows)")
    options, backend = (kernel, dilation, padding, stride), current()
    return result(
        backend.fold(x, size, *options),
        (input,),
        lambda dy, _: (backend.fold_backward(dy, *options),),
    )
