"""Rows for conv2d.

Unless a row says otherwise it is non-square with N >= 2, C != F and different options on both
axes: square tables have hidden swapped axes for years.
"""

from __future__ import annotations

from typing import Any

from minideeplab.testing.case import Case, nan_in_parameters, spread, weighted

Shape = tuple[int, ...]


def _conv(name: str, x: Shape, w: Shape, b: int | None = None, **options: Any) -> Case:
    return weighted("conv2d", name, x, w, b, **options)


X, W = (2, 3, 7, 9), (4, 3, 3, 2)

CONV2D = [
    _conv("plain", X, W),
    _conv("bias", X, W, 4),
    _conv("stride", X, W, stride=(2, 3)),
    _conv("stride-int", X, W, 4, stride=2),
    _conv("padding", X, W, padding=(1, 2)),
    _conv("padding-int", X, W, 4, padding=1),
    _conv("dilation", X, W, dilation=(2, 3)),
    _conv("dilation-int", X, W, 4, dilation=2),
    _conv("everything", (2, 3, 11, 13), W, 4, stride=(2, 3), padding=(3, 1), dilation=(3, 2)),
    _conv("groups", (2, 4, 6, 7), (6, 2, 3, 2), 6, groups=2),
    _conv(
        "groups-everything",
        (3, 4, 9, 8),
        (6, 2, 2, 3),
        6,
        stride=(1, 2),
        padding=(2, 1),
        dilation=(2, 1),
        groups=2,
    ),
    _conv("depthwise", (2, 3, 6, 7), (3, 1, 3, 2), 3, groups=3, padding=1),
    _conv("depthwise-multiplier", (2, 3, 6, 7), (6, 1, 2, 3), 6, groups=3),
    _conv("same", X, (4, 3, 3, 5), 4, padding="same"),
    _conv(
        "same-even-kernel",
        X,
        (4, 3, 4, 2),
        padding="same",
        tags=("edge",),
        note="an odd total of padding puts the extra row at the bottom, the extra column right",
    ),
    _conv("same-dilated", X, (4, 3, 2, 3), 4, padding="same", dilation=(3, 2)),
    _conv("same-groups", (2, 4, 5, 7), (2, 2, 2, 3), padding="same", groups=2),
    _conv("valid", X, W, 4, padding="valid", stride=(1, 2)),
    _conv("unbatched", (3, 7, 9), W, 4, stride=(2, 1), tags=("unbatched",)),
    _conv("unbatched-same", (3, 5, 6), (2, 3, 2, 3), padding="same", tags=("unbatched",)),
    _conv(
        "kernel-larger-than-input", (2, 3, 2, 3), (4, 3, 3, 5), 4, padding=(1, 2), tags=("edge",)
    ),
    _conv("kernel-equals-input", (2, 3, 4, 5), (4, 3, 4, 5), 4, tags=("edge",)),
    _conv(
        "rate-12-on-small-map",
        (2, 3, 5, 6),
        (4, 3, 3, 3),
        4,
        padding=12,
        dilation=12,
        tags=("edge",),
        note="the outer taps see only padding; DeepLab's fc6 on a small image",
    ),
    _conv(
        "only-padding-seen",
        (2, 3, 2, 2),
        (4, 3, 2, 2),
        4,
        padding=(5, 6),
        dilation=(5, 6),
        tags=("edge",),
        note="some windows touch no pixel at all",
    ),
    _conv("large-rates", (2, 2, 20, 17), (3, 2, 3, 3), padding=(6, 5), dilation=(6, 5)),
    _conv("empty-batch", (0, 3, 7, 9), W, 4, tags=("empty",)),
    _conv("one-pixel", (2, 3, 1, 1), (4, 3, 3, 3), 4, padding=1, tags=("edge",)),
    _conv("one-pixel-one-tap", (2, 3, 1, 1), (4, 3, 1, 1), 4, tags=("edge",)),
    _conv("1x1", X, (4, 3, 1, 1), 4),
    _conv("1x1-stride", X, (4, 3, 1, 1), stride=(3, 2)),
    _conv("1x1-padding", X, (4, 3, 1, 1), 4, padding=(2, 1)),
    _conv("row-kernel", X, (4, 3, 1, 5), 4, padding=(0, 2)),
    _conv("column-kernel", X, (4, 3, 5, 1), 4, padding=(2, 0)),
    _conv("one-channel-one-filter", (2, 1, 6, 5), (1, 1, 2, 3)),
    _conv(
        "stride-larger-than-kernel",
        (2, 3, 10, 11),
        (4, 3, 2, 2),
        stride=(3, 4),
        tags=("edge",),
        note="pixels between the windows get a gradient of zero",
    ),
    _conv("unused-remainder", (2, 3, 8, 9), (4, 3, 3, 3), stride=(4, 5), tags=("edge",)),
    _conv("one-row", (2, 3, 1, 9), (4, 3, 1, 3), 4, padding=(0, 1), tags=("edge",)),
    _conv("many-channels", (1, 40, 6, 5), (9, 40, 3, 3), 9, padding=1),
    _conv(
        "beyond-a-tile",
        (1, 5, 35, 67),
        (7, 5, 3, 3),
        7,
        padding=(1, 0),
        note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
    ),
    _conv(
        "beyond-a-tile-dilated", (1, 2, 37, 70), (3, 2, 3, 3), 3, padding=(4, 6), dilation=(4, 6)
    ),
    _conv("beyond-a-tile-channels", (2, 33, 5, 9), (17, 33, 3, 3), 17, padding=1, stride=(1, 2)),
    _conv("large-values", X, W, 4, fill=spread(1e3, 1e3)),
    nan_in_parameters("conv2d", X, W, 4, (1, 2, 0, 1)),
    _conv("strided-input", X, W, 4, layouts=("strided", "strided"), tags=("strided",)),
    _conv(
        "reversed-input", X, W, 4, layouts=("reversed", "reversed"), padding=1, tags=("strided",)
    ),
    _conv(
        "transposed-input",
        X,
        W,
        layouts=("transposed", "transposed"),
        dilation=(2, 1),
        tags=("strided",),
    ),
    _conv(
        "channels-last-input",
        X,
        W,
        layouts=("channels_last", "channels_last"),
        stride=(1, 2),
        tags=("strided",),
    ),
    _conv(
        "broadcast-readonly-input", X, W, 4, layouts=("broadcast", "readonly"), tags=("strided",)
    ),
]
