"""Pooling. Definitions: `minideeplab.ops.pool`."""

from __future__ import annotations

from minideeplab.backends import current
from minideeplab.functional.arguments import (
    Array,
    accepts_unbatched,
    flag,
    floats,
    images,
    integer,
    pair,
    result,
)
from minideeplab.ops.pool import pooled_size
from minideeplab.ops.window import Pair
from minideeplab.tensor import Tensor


def _window(
    size: Pair,
    kernel_size: int | Pair,
    stride: int | Pair | None,
    padding: int | Pair,
    dilation: int | Pair,
    ceil_mode: bool,
) -> tuple[Pair, Pair, Pair, Pair, bool]:
    """The window's options as pairs, checked. ValueError if no window fits."""
    kernel = pair("kernel_size", kernel_size, 1)
    stride = kernel if stride is None or stride in ((), []) else pair("stride", stride, 1)
    padding, dilation = pair("padding", padding, 0), pair("dilation", dilation, 1)
    ceil_mode = flag("ceil_mode", ceil_mode)
    if any(p > k // 2 for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"padding: got {padding}, expected at most half of kernel_size {kernel}")
    for axis in range(2):
        window = kernel[axis], stride[axis], padding[axis], dilation[axis]
        if pooled_size(size[axis], *window, ceil_mode) < 1:
            raise ValueError(
                f"kernel_size: got {kernel} with dilation {dilation}, expected to fit into "
                f"{tuple(size)} pixels with padding {padding}"
            )
    return kernel, stride, padding, dilation, ceil_mode


@accepts_unbatched(ndim=3)
def max_pool2d(
    input: Array,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array | tuple[Array, Array]:
    """Maximum of each window of input (N, C, H, W) or (C, H, W): (N, C, P, Q).

    stride is the kernel's size if None or (); padding is -inf, at most half the kernel; ceil_mode
    lets the last window stick out. The first maximum wins a tie, NaN wins over numbers.
    return_indices adds each winner's index into the H*W pixels of its plane, int64.
    Raises ValueError or TypeError for wrong shapes or options.
    """
    (x,) = floats(input)
    images(x)
    return_indices = flag("return_indices", return_indices)
    options = _window(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    backend = current()
    if not return_indices:
        y = backend.max_pool2d_without_indices(x, *options)
        backward = backend.max_pool2d_without_indices_backward
        return result(y, (input,), lambda dy, _: (backward(dy, x, y, *options),))
    y, indices = backend.max_pool2d(x, *options)
    shape = x.shape
    y = result(y, (input,), lambda dy, _: (backend.max_pool2d_backward(dy, indices, shape),))
    return y, Tensor(indices) if isinstance(y, Tensor) else indices


@accepts_unbatched(ndim=3)
def avg_pool2d(
    input: Array,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Mean of each window of input (N, C, H, W) or (C, H, W): (N, C, P, Q).

    The sum is divided by the window's size, less its padding if not count_include_pad, or by
    divisor_override; stride is the kernel's size if None or ().
    Raises ValueError or TypeError for wrong shapes or options.
    """
    (x,) = floats(input)
    images(x)
    kernel, stride, padding, _, ceil_mode = _window(
        x.shape[2:], kernel_size, stride, padding, 1, ceil_mode
    )
    if divisor_override is not None:
        divisor_override = integer("divisor_override", divisor_override)
        if divisor_override == 0:
            raise ValueError("divisor_override: got 0, expected another integer")
    include = flag("count_include_pad", count_include_pad)
    options = (kernel, stride, padding, ceil_mode, include, divisor_override)
    backend = current()
    shape = x.shape
    return result(
        backend.avg_pool2d(x, *options),
        (input,),
        lambda dy, _: (backend.avg_pool2d_backward(dy, shape, *options),),
    )


@accepts_unbatched(ndim=3)
def adaptive_avg_pool2d(
    input: Array, output_size: int | tuple[int | None, int | None] | None
) -> Array:
    """Mean over each cell of an output_size grid laid on input (N, C, H, W) or (C, H, W).

    None keeps that axis. Raises ValueError or TypeError for wrong shapes or sizes.
    """
    (x,) = floats(input)
    images(x)
    sizes = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    if len(sizes) != 2:
        raise ValueError(f"output_size: got {output_size!r}, expected an integer or two of them")
    kept = [old if new is None else new for new, old in zip(sizes, x.shape[2:], strict=True)]
    out, backend = pair("output_size", kept, 1), current()
    shape = x.shape
    return result(
        backend.adaptive_avg_pool2d(x, out),
        (input,),
        lambda dy, _: (backend.adaptive_avg_pool2d_backward(dy, shape),),
    )
