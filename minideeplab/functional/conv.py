"""Convolution, transposed convolution and the linear layer. Definitions: `minideeplab.ops.conv`."""

from __future__ import annotations

from math import prod
from types import ModuleType

import numpy as np

from minideeplab.backends import current
from minideeplab.functional.arguments import (
    Array,
    accepts_unbatched,
    choice,
    flag,
    floats,
    images,
    integer,
    pair,
    per_channel,
    result,
    wrong_shape,
)
from minideeplab.ops.window import Padding, Pair, effective_size, output_shape, transposed_size


@accepts_unbatched(ndim=3)
def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    *,
    algorithm: str = "auto",
    exact: bool = False,
    explain: bool = False,
) -> Array:
    """Convolve input (N, C, H, W) or (C, H, W) with weight (F, C/groups, kh, kw): (N, F, P, Q).

    dilation d puts d-1 holes between the taps, so that a kernel of k taps covers k + (k-1)(d-1)
    pixels (atrous convolution); P = floor((H + 2 padding - that) / stride) + 1. padding "valid" is
    0; "same" keeps H and W (stride 1 only) and puts an odd pixel at the bottom and right.

    The last three are for backends with several algorithms ("numba"): which one ("taps", "im2col",
    "direct", "winograd", "polyphase"), whether "auto" must choose among direct sums, and whether to
    print the choice with its reasons.

    In float32 the error of every result is below 64 eps times the sum of |weight| |input| over the
    values that this one result adds up, whatever stands beside them; the same holds for gradients.
    Direct sums stay near half the root of their length. Winograd's form keeps the bound by an
    estimate for each tile, and computes those that exceed it directly (see `backends/numba_cpu/
    convolution/README.md`; ``minideeplab bench accuracy`` measures it).
    Raises ValueError or TypeError for wrong shapes, dtypes or options.
    """
    (x, w, b), options = checked(input, weight, bias, stride, padding, dilation, groups)
    backend = current()
    how = _how(backend, algorithm, flag("exact", exact))
    report = {"explain": True} if flag("explain", explain) and backend.ALGORITHMS else {}
    return result(
        backend.conv2d(x, w, b, *options, **how, **report),
        (input, weight, bias),
        lambda dy, needs: backend.conv2d_backward(dy, x, w, *options, needs, **how),
    )


def checked(
    input: Array,
    weight: Array,
    bias: Array | None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> tuple[list[np.ndarray | None], tuple[Pair, Padding, Pair, int]]:
    """The arrays and the options of a convolution, checked, as backends take them."""
    x, w, b = floats(input, {"weight": weight}, bias=bias)
    stride, dilation = pair("stride", stride, 1), pair("dilation", dilation, 1)
    groups = integer("groups", groups, 1)
    _check_weight(x, w)
    if x.shape[1] != w.shape[1] * groups:
        expected = f"(F, {x.shape[1]} input channels / {groups} groups, kh, kw)"
        raise wrong_shape("weight", w, expected)
    _check_divisible("output channels", len(w), groups)
    per_channel("bias", b, len(w))
    padding = _padding(padding, w.shape[2:], stride, dilation)
    if min(output_shape(x.shape[2:], w.shape[2:], stride, padding, dilation)) < 1:
        least = tuple(map(effective_size, w.shape[2:], dilation))
        raise wrong_shape("input", x, f"H, W of at least {least} with padding {padding}")
    return [x, w, b], (stride, padding, dilation, groups)


def _how(backend: ModuleType, algorithm: str, exact: bool) -> dict[str, str | bool]:
    """Keyword options for the backend: none if it has one algorithm only, or for the defaults."""
    known = backend.ALGORITHMS
    choice("algorithm", algorithm, ("auto", *known))
    if not known or (algorithm == "auto" and not exact):
        return {}
    return {"algorithm": algorithm, "exact": exact}


def _padding(padding: int | Pair | str, kernel: Pair, stride: Pair, dilation: Pair) -> Padding:
    """((top, bottom), (left, right)) for a number, a pair, "valid" or "same"."""
    if not isinstance(padding, str):
        rows, columns = pair("padding", padding, 0)
        return (rows, rows), (columns, columns)
    if choice("padding", padding, ("same", "valid")) == "valid":
        return (0, 0), (0, 0)
    if stride != (1, 1):
        raise ValueError(f"padding: got 'same' with stride {stride}, expected stride 1")
    total = [effective_size(k, d) - 1 for k, d in zip(kernel, dilation, strict=True)]
    top, left = total[0] // 2, total[1] // 2
    return (top, total[0] - top), (left, total[1] - left)


def _check_weight(x: np.ndarray, w: np.ndarray) -> None:
    images(x)
    if w.ndim != 4 or 0 in w.shape:
        raise wrong_shape("weight", w, "four axes, each at least 1")


def _check_divisible(what: str, channels: int, groups: int) -> None:
    if channels % groups:
        raise ValueError(f"groups: got {groups}, expected a divisor of the {channels} {what}")


@accepts_unbatched(ndim=3)
def conv_transpose2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
) -> Array:
    """The transpose of `conv2d`: input (N, C, H, W), weight (C, F/groups, kh, kw) -> (N, F, P, Q).

    P = (H-1) stride - 2 padding + kh + (kh-1)(dilation-1) + output_padding, the size that `conv2d`
    with the same options maps to H; output_padding, less than stride or dilation, chooses which.
    P and Q may be 0, not less.
    Raises ValueError or TypeError for wrong shapes, dtypes or options.
    """
    x, w, b = floats(input, {"weight": weight}, bias=bias)
    stride, dilation = pair("stride", stride, 1), pair("dilation", dilation, 1)
    padding, extra = pair("padding", padding, 0), pair("output_padding", output_padding, 0)
    groups = integer("groups", groups, 1)
    _check_weight(x, w)
    if x.shape[1] != len(w):
        raise wrong_shape("weight", w, f"({x.shape[1]} input channels, F/groups, kh, kw)")
    _check_divisible("input channels", len(w), groups)
    per_channel("bias", b, w.shape[1] * groups)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(f"output_padding: got {extra}, expected less than stride or dilation")
    out = tuple(map(transposed_size, x.shape[2:], w.shape[2:], stride, padding, extra, dilation))
    if min(out) < 0:
        raise ValueError(f"padding: got {padding}, expected less: the output would be {out}")
    options, backend = (stride, padding, extra, groups, dilation), current()
    return result(
        backend.conv_transpose2d(x, w, b, *options),
        (input, weight, bias),
        lambda dy, needs: backend.conv_transpose2d_backward(dy, x, w, *options, needs),
    )


def linear(input: Array, weight: Array, bias: Array | None = None) -> Array:
    """input (..., I) times weight (O, I), plus bias (O,): (..., O). A weight (I,) gives (...).

    Raises ValueError or TypeError for wrong shapes or dtypes.
    """
    x, w, b = floats(input, {"weight": weight}, bias=bias)
    if w.ndim not in (1, 2) or x.ndim < 1 or x.shape[-1] != w.shape[-1]:
        raise wrong_shape("weight", w, f"(O, I), where I is the last axis of input {x.shape}")
    if b is not None and b.shape != w.shape[:-1]:
        raise wrong_shape("bias", b, f"{w.shape[:-1]}, one value for each row of weight")
    if w.ndim == 1:
        bias = None if bias is None else bias.reshape((1,))
        return linear(input, weight.reshape((1, len(w))), bias).reshape(x.shape[:-1])
    if x.ndim != 2:
        rows = input.reshape((prod(x.shape[:-1]), x.shape[-1]))
        return linear(rows, weight, bias).reshape((*x.shape[:-1], len(w)))
    backend = current()
    return result(
        backend.linear(x, w, b),
        (input, weight, bias),
        lambda dy, needs: backend.linear_backward(dy, x, w, needs),
    )
