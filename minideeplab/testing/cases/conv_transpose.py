"""Rows for conv_transpose2d."""

from __future__ import annotations

from typing import Any

from minideeplab.testing.case import Case, nan_in_parameters, weighted

Shape = tuple[int, ...]


def _transpose(name: str, x: Shape, w: Shape, b: int | None = None, **options: Any) -> Case:
    return weighted("conv_transpose2d", name, x, w, b, **options)


XT, WT = (2, 3, 4, 5), (3, 4, 3, 2)

CONV_TRANSPOSE2D = [
    _transpose("plain", XT, WT),
    _transpose("bias", XT, WT, 4),
    _transpose("stride", XT, WT, 4, stride=(2, 3)),
    _transpose("padding", XT, WT, padding=(1, 0)),
    _transpose("padding-crops-all-around", XT, (3, 4, 4, 5), 4, padding=(2, 3)),
    _transpose("output-padding", XT, WT, 4, stride=(2, 3), output_padding=(1, 2)),
    _transpose("dilation", XT, WT, dilation=(3, 2)),
    _transpose("output-padding-dilated", XT, WT, 4, dilation=(3, 2), output_padding=(2, 1)),
    _transpose(
        "everything",
        XT,
        WT,
        4,
        stride=(3, 2),
        padding=(2, 1),
        output_padding=(2, 1),
        dilation=(2, 3),
    ),
    nan_in_parameters("conv_transpose2d", XT, (3, 4, 1, 1), 4, (2, 1, 0, 0)),
    _transpose("ints", XT, (3, 2, 3, 3), 2, stride=2, padding=1, output_padding=1),
    _transpose("groups", (2, 4, 3, 5), (4, 3, 2, 3), 6, stride=(2, 1), groups=2),
    _transpose("depthwise", (2, 3, 4, 5), (3, 1, 3, 2), 3, stride=(1, 2), groups=3),
    _transpose("upsample-by-8", (2, 3, 2, 3), (3, 1, 16, 16), stride=8, padding=4, groups=3),
    _transpose(
        "gaps-between-windows",
        XT,
        (3, 4, 2, 1),
        4,
        stride=(3, 2),
        tags=("edge",),
        note="between the windows there is nothing but the bias",
    ),
    _transpose(
        "beyond-a-tile",
        (1, 5, 19, 35),
        (5, 9, 4, 4),
        9,
        stride=2,
        padding=1,
        note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
    ),
    _transpose("unbatched", (3, 4, 5), WT, 4, stride=(2, 1), tags=("unbatched",)),
    _transpose("empty-batch", (0, 3, 4, 5), WT, 4, tags=("empty",)),
    _transpose("one-pixel", (2, 3, 1, 1), WT, 4, stride=2, tags=("edge",)),
    _transpose("1x1-kernel", XT, (3, 4, 1, 1), 4, stride=(1, 2)),
    _transpose(
        "strided-input", XT, WT, 4, layouts=("strided", "strided"), stride=2, tags=("strided",)
    ),
    _transpose(
        "reversed-input",
        XT,
        WT,
        4,
        layouts=("reversed", "transposed"),
        padding=1,
        tags=("strided",),
    ),
    _transpose("readonly-input", XT, WT, layouts=("readonly", "readonly"), tags=("strided",)),
]
