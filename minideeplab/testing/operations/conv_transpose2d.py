"""conv_transpose2d: the transpose of a convolution, which upsamples."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, on, pair, right, zeroed
from minideeplab.testing.operation import Drawn, Operation, Rng, Sides
from minideeplab.testing.operations.products import (
    BIAS_IGNORED,
    bilinear_terms,
    interleaved,
    spread_apart,
    with_bias,
    with_channels,
    with_weight,
)
from minideeplab.testing.operations.windows import onnx_window
from minideeplab.testing.random_arrays import (
    array,
    chance,
    normals,
    planes,
    random_pair,
    some,
    whole,
)
from minideeplab.testing.rows import Rows, nan_in_parameters, weighted

row = Rows(weighted, "conv_transpose2d")
XT, WT = (2, 3, 4, 5), (3, 4, 3, 2)

ROWS = [
    row("plain", XT, WT),
    row("bias", XT, WT, 4),
    row("stride", XT, WT, 4, stride=(2, 3)),
    row("padding", XT, WT, padding=(1, 0)),
    row("padding-crops-all-around", XT, (3, 4, 4, 5), 4, padding=(2, 3)),
    row("output-padding", XT, WT, 4, stride=(2, 3), output_padding=(1, 2)),
    row("dilation", XT, WT, dilation=(3, 2)),
    row("output-padding-dilated", XT, WT, 4, dilation=(3, 2), output_padding=(2, 1)),
    row("everything", XT, WT, 4, stride=(3, 2), padding=(2, 1), output_padding=(2, 1),
        dilation=(2, 3)),
    nan_in_parameters("conv_transpose2d", XT, (3, 4, 1, 1), 4, (2, 1, 0, 0)),
    row("ints", XT, (3, 2, 3, 3), 2, stride=2, padding=1, output_padding=1),
    row("groups", (2, 4, 3, 5), (4, 3, 2, 3), 6, stride=(2, 1), groups=2),
    row("depthwise", (2, 3, 4, 5), (3, 1, 3, 2), 3, stride=(1, 2), groups=3),
    row("upsample-by-8", (2, 3, 2, 3), (3, 1, 16, 16), stride=8, padding=4, groups=3),
    row.edge("gaps-between-windows", XT, (3, 4, 2, 1), 4, stride=(3, 2),
             note="between the windows there is nothing but the bias"),
    row.tile((1, 5, 19, 35), (5, 9, 4, 4), 9, stride=2, padding=1),
    row("unbatched", (3, 4, 5), WT, 4, stride=(2, 1), tags="unbatched"),
    row.empty((0, 3, 4, 5), WT, 4),
    row.edge("one-pixel", (2, 3, 1, 1), WT, 4, stride=2),
    row("1x1-kernel", XT, (3, 4, 1, 1), 4, stride=(1, 2)),
    row("no-rows-left", (1, 6, 2, 8), (6, 2, 1, 2), 4, stride=(3, 2), padding=2, groups=2,
        tags="quirk empty float32-in-torch",
        note="padding may cut off all rows; torch refuses it in float64, and for one image"),
    row.laid("strided", XT, WT, 4, stride=2),
    row.laid("reversed transposed", XT, WT, 4, padding=1),
    row.laid("readonly", XT, WT),
    row.large("channels", (1, 300, 2, 2), (300, 2, 1, 2)),
    row.large("filters", (1, 2, 2, 3), (2, 300, 2, 1), 300),
    row.large("batch", (20, 1, 2, 3), (1, 2, 2, 2)),
    row.large("groups", (1, 40, 2, 3), (40, 1, 2, 1), groups=40),
    row.large("kernel", (1, 1, 2, 3), (1, 2, 13, 17)),
    row.large("stride", (1, 1, 3, 2), (1, 2, 5, 20), stride=(12, 17)),
    row.large("dilation", (1, 1, 2, 2), (1, 2, 2, 3), dilation=(40, 27)),
]  # fmt: skip


def transpose_stride_is_zero_insertion(f: Function, rng: Rng, dtype: Any) -> Sides:
    """A stride of the transpose spreads its input apart."""
    x, w = normals(rng, dtype, (2, 3, 4, 5), (3, 4, 3, 2))
    return f(x, w, stride=(2, 3)), f(spread_apart(x, (2, 3)), w), 18.0


def transpose_padding_crops(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Padding of the transpose cuts a frame off its output."""
    x, w = normals(rng, dtype, (2, 3, 4, 5), (3, 4, 3, 4))
    return f(x, w, padding=(1, 2)), f(x, w)[..., 1:-1, 2:-2], 36.0


def transpose_of_one_pixel(f: Function, rng: Rng, dtype: Any) -> Sides:
    """A single pixel prints the kernel, unflipped."""
    (w,) = normals(rng, dtype, (1, 4, 3, 2))
    return f(np.ones((1, 1, 1, 1), dtype), w), w, 1.0


def _draw(rng: Rng) -> Drawn:
    """Draw a transposed convolution, of an image at least: without, torch checks no option."""
    groups = whole(rng, 1, 3)
    channels, filters = groups * whole(rng, 1, 3), whole(rng, 1, 3)
    arrays = {
        "input": array(rng, planes(rng, channels, high=7, least=1)),
        "weight": array(rng, (channels, filters, whole(rng, 1, 4), whole(rng, 1, 4))),
    }
    if chance(rng, 0.5):
        arrays["bias"] = array(rng, (filters * groups,))
    options = some(
        rng,
        stride=random_pair(rng, 1, 3),
        dilation=random_pair(rng, 1, 3),
        padding=random_pair(rng, 0, 2),
        output_padding=random_pair(rng, 0, 2),
    )
    return Drawn(arrays, options | {"groups": groups})


transpose = right("conv_transpose2d")
kernel, bias = partial(with_weight, "conv_transpose2d"), partial(with_bias, "conv_transpose2d")


def _rolled(y: np.ndarray, *arrays: Any, output_padding: Any = 0, **options: Any) -> np.ndarray:
    return np.roll(y, pair(output_padding), (-2, -1))


def _bias_where_touched(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
    y = transpose(x, w, None, **options)
    if b is None:
        return y
    touched = transpose(np.ones_like(x), np.ones_like(w), None, **options) != 0
    return y + touched * b[:, None, None]


def _overlaps_averaged(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
    """Return the transposed convolution divided by how many windows reach a pixel."""
    ones = np.ones_like(x[..., :1, :, :]), np.ones_like(w[:1, :1])
    y = transpose(x, w, None, **options)
    y = y / np.maximum(transpose(*ones, None, **options | {"groups": 1}), 1)
    return (y if b is None else y + b[:, None, None]).astype(x.dtype)


FORWARD = {
    "kernel-flipped": (kernel(lambda w: w[..., ::-1, ::-1]), "the kernel is flipped"),
    "kernel-transposed": (kernel(lambda w: w.swapaxes(-1, -2)),
                          "the kernel's height and width are confused"),
    "padding-ignored": (transpose.altered(padding=lambda p: 0), "padding is not cut off"),
    **transpose.confused(padding="swapped", stride="swapped"),
    "dilation-ignored": (transpose.altered(dilation=lambda d: 1, output_padding=lambda p: 0),
                         "dilation is ignored"),
    **transpose.confused(dilation="from-zero", output_padding="ignored"),
    "output-padding-before": (transpose.after(_rolled),
                              "output_padding is added at the top and left instead of the end"),
    "groups-interleaved": (with_channels("conv_transpose2d", interleaved),
                           "groups are interleaved instead of blocks of channels"),
    "bias-ignored": (bias(lambda b: None), BIAS_IGNORED),
    "bias-where-touched": (_bias_where_touched, "pixels that no window reaches get no bias"),
    "overlaps-averaged": (_overlaps_averaged, "where windows overlap, they are averaged"),
}  # fmt: skip

BACKWARD = {
    "dx-flipped": (on(0, lambda g: g[..., ::-1, ::-1]), "dx is flipped"),
    "dw-flipped": (on(1, lambda g: g[..., ::-1, ::-1]), "dw is flipped"),
    "dw-zero": (on(1, zeroed), "dw is all zero"),
}


def _onnx(options: dict[str, Any]) -> dict[str, Any]:
    more = {"group": options["groups"], "output_padding": list(pair(options["output_padding"]))}
    return onnx_window(options) | more


OPERATION = Operation(
    "conv_transpose2d",
    ROWS,
    sample=row("sample", XT, WT, stride=(2, 1), padding=(1, 0)),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="single-precision double-result first-image empty-refused parameters-cleaned"
    " last-column-lost tile-only batch-axis-kept gradient-per-image",
    equations=(transpose_stride_is_zero_insertion, transpose_padding_crops, transpose_of_one_pixel),
    linear=True,
    products=lambda r: r.x.size * r.arguments["weight"][0].size,
    terms=bilinear_terms,
    onnx=("ConvTranspose", _onnx),
)
