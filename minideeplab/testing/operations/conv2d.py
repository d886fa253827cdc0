"""conv2d: atrous convolution.

Unless a row says otherwise it is non-square with N >= 2, C != F and different options on both
axes: square tables have hidden swapped axes for years.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.case import Case, spread
from minideeplab.testing.mutant import Function
from minideeplab.testing.operation import Drawn, Operation, Rng, Sides
from minideeplab.testing.operations.conv2d_mutants import BACKWARD, FORWARD
from minideeplab.testing.operations.products import (
    bilinear_terms,
    both_sides,
    products_per_output,
    spread_apart,
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

row = Rows(weighted, "conv2d")
X, W = (2, 3, 7, 9), (4, 3, 3, 2)

ROWS = [
    row("plain", X, W),
    row("bias", X, W, 4),
    row("stride", X, W, stride=(2, 3)),
    row("stride-int", X, W, 4, stride=2),
    row("padding", X, W, padding=(1, 2)),
    row("padding-int", X, W, 4, padding=1),
    row("dilation", X, W, dilation=(2, 3)),
    row("dilation-int", X, W, 4, dilation=2),
    row("everything", (2, 3, 11, 13), W, 4, stride=(2, 3), padding=(3, 1), dilation=(3, 2)),
    row("groups", (2, 4, 6, 7), (6, 2, 3, 2), 6, groups=2),
    row("groups-everything", (3, 4, 9, 8), (6, 2, 2, 3), 6, stride=(1, 2), padding=(2, 1),
        dilation=(2, 1), groups=2),
    row("depthwise", (2, 3, 6, 7), (3, 1, 3, 2), 3, groups=3, padding=1),
    row("depthwise-multiplier", (2, 3, 6, 7), (6, 1, 2, 3), 6, groups=3),
    row("same", X, (4, 3, 3, 5), 4, padding="same"),
    row.edge("same-even-kernel", X, (4, 3, 4, 2), padding="same",
             note="the extra row of an odd total of padding is at the bottom, the column right"),
    row("same-dilated", X, (4, 3, 2, 3), 4, padding="same", dilation=(3, 2)),
    row("same-groups", (2, 4, 5, 7), (2, 2, 2, 3), padding="same", groups=2),
    row("valid", X, W, 4, padding="valid", stride=(1, 2)),
    row("unbatched", (3, 7, 9), W, 4, stride=(2, 1), tags="unbatched"),
    row("unbatched-same", (3, 5, 6), (2, 3, 2, 3), padding="same", tags="unbatched"),
    row.edge("kernel-larger-than-input", (2, 3, 2, 3), (4, 3, 3, 5), 4, padding=(1, 2)),
    row.edge("kernel-equals-input", (2, 3, 4, 5), (4, 3, 4, 5), 4),
    row.edge("rate-12-on-small-map", (2, 3, 5, 6), (4, 3, 3, 3), 4, padding=12, dilation=12,
             note="the outer taps see only padding; DeepLab's fc6 on a small image"),
    row.edge("only-padding-seen", (2, 3, 2, 2), (4, 3, 2, 2), 4, padding=(5, 6), dilation=(5, 6),
             note="some windows touch no pixel at all"),
    row("large-rates", (2, 2, 20, 17), (3, 2, 3, 3), padding=(6, 5), dilation=(6, 5)),
    row.empty((0, 3, 7, 9), W, 4),
    row.edge("one-pixel", (2, 3, 1, 1), (4, 3, 3, 3), 4, padding=1),
    row.edge("one-pixel-one-tap", (2, 3, 1, 1), (4, 3, 1, 1), 4),
    row("1x1", X, (4, 3, 1, 1), 4),
    row("1x1-stride", X, (4, 3, 1, 1), stride=(3, 2)),
    row("1x1-padding", X, (4, 3, 1, 1), 4, padding=(2, 1)),
    row("row-kernel", X, (4, 3, 1, 5), 4, padding=(0, 2)),
    row("column-kernel", X, (4, 3, 5, 1), 4, padding=(2, 0)),
    row("one-channel-one-filter", (2, 1, 6, 5), (1, 1, 2, 3)),
    row.edge("stride-larger-than-kernel", (2, 3, 10, 11), (4, 3, 2, 2), stride=(3, 4),
             note="pixels between the windows get a gradient of zero"),
    row.edge("unused-remainder", (2, 3, 8, 9), (4, 3, 3, 3), stride=(4, 5)),
    row.edge("one-row", (2, 3, 1, 9), (4, 3, 1, 3), 4, padding=(0, 1)),
    row("many-channels", (1, 40, 6, 5), (9, 40, 3, 3), 9, padding=1),
    row.tile((1, 5, 35, 67), (7, 5, 3, 3), 7, padding=(1, 0)),
    row("beyond-a-tile-dilated", (1, 2, 37, 70), (3, 2, 3, 3), 3, padding=(4, 6), dilation=(4, 6)),
    row("beyond-a-tile-channels", (2, 33, 5, 9), (17, 33, 3, 3), 17, padding=1, stride=(1, 2)),
    row("large-values", X, W, 4, fill=spread(1e3, 1e3)),
    nan_in_parameters("conv2d", X, W, 4, (1, 2, 0, 1)),
    row.laid("strided", X, W, 4),
    row.laid("reversed", X, W, 4, padding=1),
    row.laid("transposed", X, W, dilation=(2, 1)),
    row.laid("channels_last", X, W, stride=(1, 2)),
    row("broadcast-readonly-input", X, W, 4, layout="broadcast readonly", tags="strided"),
    row.large("channels", (1, 300, 2, 3), (2, 300, 1, 2)),
    row.large("filters", (1, 2, 2, 3), (300, 2, 2, 1), 300),
    row.large("batch", (20, 1, 2, 3), (2, 1, 2, 2)),
    row.large("groups", (1, 40, 2, 3), (40, 1, 2, 1), groups=40),
    row.large("kernel", (1, 1, 14, 18), (2, 1, 13, 17)),
    row.large("dilation", (1, 1, 62, 40), (2, 1, 2, 2), dilation=(60, 37)),
    row.large("stride", (1, 1, 21, 23), (2, 1, 2, 3), stride=(10, 9)),
    row.large("padding", (1, 1, 2, 3), (2, 1, 3, 2), padding=(19, 21), stride=4),
]  # fmt: skip


def conv_rate_is_zero_insertion(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Atrous convolution is convolution with holes in the kernel (DeepLab, section 3.1)."""
    x, w = normals(rng, dtype, (2, 3, 11, 12), W)
    return f(x, w, dilation=(2, 3)), f(x, spread_apart(w, (2, 3))), 18.0


def conv_rate_is_polyphase(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Rate 2 is ordinary convolution on each of the 2 x 2 subsampled images."""
    x, w = normals(rng, dtype, (2, 3, 10, 12), (4, 3, 3, 3))
    y = f(x, w, dilation=2)
    parts = np.empty_like(y)
    for i, j in np.ndindex(2, 2):
        parts[..., i::2, j::2] = f(x[..., i::2, j::2], w)
    return y, parts, 27.0


def conv_shift(f: Function, rng: Rng, dtype: Any) -> Sides:
    """A shifted input gives a shifted output."""
    x, w = normals(rng, dtype, (2, 3, 9, 10), W)
    return f(x[..., 1:, 2:], w), f(x, w)[..., 1:, 2:], 18.0


def conv_padding_is_zeros(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Padding is convolution of the image in a frame of zeros."""
    x, w = normals(rng, dtype, (2, 3, 5, 6), W)
    framed = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))
    return f(x, w, padding=(1, 2)), f(framed, w), 18.0


def conv_stride_is_subsampling(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Stride s keeps every s-th output."""
    x, w = normals(rng, dtype, (2, 3, 9, 11), W)
    return f(x, w, stride=(2, 3)), f(x, w)[..., ::2, ::3], 18.0


def conv_groups_are_blocks(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Groups are separate convolutions of blocks of channels."""
    x, w = normals(rng, dtype, (2, 4, 6, 7), (6, 2, 3, 2))
    blocks = [f(x[:, :2], w[:3]), f(x[:, 2:], w[3:])]
    return f(x, w, groups=2), np.concatenate(blocks, axis=1), 12.0


def conv_linear_in_weight(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Convolution is linear in the kernel."""
    x, w, v = normals(rng, dtype, (2, 3, 6, 7), W, W)
    return f(x, 2 * w - 3 * v), 2 * f(x, w) - 3 * f(x, v), 72.0


def _draw(rng: Rng) -> Drawn:
    groups = whole(rng, 1, 3)
    channels, filters = groups * whole(rng, 1, 3), groups * whole(rng, 1, 3)
    arrays = {
        "input": array(rng, planes(rng, channels)),
        "weight": array(rng, (filters, channels // groups, whole(rng, 1, 4), whole(rng, 1, 4))),
    }
    if chance(rng, 0.5):
        arrays["bias"] = array(rng, (filters,))
    options = some(
        rng,
        stride=random_pair(rng, 1, 3),
        dilation=random_pair(rng, 1, 4),
        padding=random_pair(rng, 0, 5),
    )
    if chance(rng, 0.15):
        options |= {"padding": "same", "stride": 1}
    return Drawn(arrays, options | {"groups": groups})


def _four_sides(case: Case, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the padding as (top, bottom, left, right)."""
    sides = both_sides(options["padding"], case.arrays["weight"].shape[2:], options["dilation"])
    return options | {"padding": sides[0] + sides[1]}


OPERATION = Operation(
    "conv2d",
    ROWS,
    sample=row("sample", (2, 3, 7, 8), W, stride=(2, 1), padding=(1, 2)),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="single-precision double-result first-image strides-ignored input-overwritten"
    " empty-refused parameters-cleaned last-column-lost tile-only batch-axis-kept gradient-negated"
    " gradient-zero gradient-per-image cotangent-ignored cotangent-overwritten buffer-reused",
    equations=(
        conv_rate_is_zero_insertion,
        conv_rate_is_polyphase,
        conv_shift,
        conv_padding_is_zeros,
        conv_stride_is_subsampling,
        conv_groups_are_blocks,
        conv_linear_in_weight,
    ),
    linear=True,
    bordered=True,
    products=products_per_output(-3),
    terms=bilinear_terms,
    exported_options=_four_sides,
    onnx=("Conv", lambda o: onnx_window(o) | {"group": o["groups"]}),
)
