"""Rows for avg_pool2d and adaptive_avg_pool2d."""

from __future__ import annotations

from typing import Any

from minideeplab.testing.case import Case, constant, planted, single

NAN = float("nan")
X = (2, 3, 7, 9)


def _avg(name: str, x: tuple[int, ...], **options: Any) -> Case:
    return single("avg_pool2d", name, x, **options)


def _adaptive(name: str, x: tuple[int, ...], output_size: Any, **options: Any) -> Case:
    return single("adaptive_avg_pool2d", name, x, output_size=output_size, **options)


AVG_POOL2D = [
    _avg("plain", X, kernel_size=2),
    _avg("kernel", X, kernel_size=(3, 2)),
    _avg("stride", X, kernel_size=(2, 3), stride=(3, 1)),
    _avg("deeplab-pool5a", (2, 3, 5, 6), kernel_size=3, stride=1, padding=1),
    _avg("padding", X, kernel_size=(4, 2), stride=(2, 3), padding=(2, 1)),
    _avg(
        "padding-not-counted",
        X,
        kernel_size=(4, 2),
        stride=(2, 3),
        padding=(2, 1),
        count_include_pad=False,
    ),
    _avg(
        "pool3-not-counted",
        (2, 3, 5, 6),
        kernel_size=3,
        stride=1,
        padding=1,
        count_include_pad=False,
    ),
    _avg("divisor", X, kernel_size=(3, 2), divisor_override=5),
    _avg(
        "divisor-padding",
        X,
        kernel_size=3,
        stride=2,
        padding=1,
        divisor_override=2,
        count_include_pad=False,
        note="the override wins over the count",
    ),
    _avg("floor-drops-the-rest", (2, 3, 8, 9), kernel_size=3, stride=3),
    _avg(
        "ceil",
        (2, 3, 8, 10),
        kernel_size=3,
        stride=(3, 2),
        ceil_mode=True,
        note="what lies beyond the padding is not counted, even when the padding is",
    ),
    _avg(
        "ceil-padding",
        (2, 3, 8, 9),
        kernel_size=(3, 4),
        stride=(3, 2),
        padding=(1, 2),
        ceil_mode=True,
    ),
    _avg(
        "ceil-padding-not-counted",
        (2, 3, 8, 9),
        kernel_size=(3, 4),
        stride=(3, 2),
        padding=(1, 2),
        ceil_mode=True,
        count_include_pad=False,
    ),
    _avg(
        "ceil-divisor",
        (2, 3, 8, 10),
        kernel_size=3,
        stride=(3, 2),
        ceil_mode=True,
        divisor_override=7,
    ),
    _avg(
        "ceil-last-window-dropped",
        (2, 3, 5, 6),
        kernel_size=2,
        stride=(4, 3),
        padding=1,
        ceil_mode=True,
        tags=("edge",),
    ),
    _avg("ceil-exact", (2, 3, 7, 9), kernel_size=3, stride=2, ceil_mode=True, tags=("edge",)),
    _avg("kernel-covers-input", (2, 3, 3, 4), kernel_size=(4, 5), padding=(2, 1), tags=("edge",)),
    _avg("global", X, kernel_size=(7, 9)),
    _avg("one-pixel", (2, 3, 1, 1), kernel_size=3, padding=1, tags=("edge",)),
    _avg(
        "one-pixel-not-counted",
        (2, 3, 1, 1),
        kernel_size=3,
        padding=1,
        count_include_pad=False,
        tags=("edge",),
    ),
    _avg("stride-larger-than-kernel", (2, 3, 9, 11), kernel_size=2, stride=(3, 4)),
    _avg("large-values", X, kernel_size=3, fill=constant(1e6)),
    _avg(
        "nan",
        X,
        kernel_size=(3, 2),
        stride=(2, 1),
        fill=planted(NAN, share=0.05),
        tags=("nan", "quirk"),
    ),
    _avg("unbatched", (3, 7, 9), kernel_size=2, stride=(2, 1), tags=("unbatched",)),
    _avg("empty-batch", (0, 3, 7, 9), kernel_size=2, tags=("empty",)),
    _avg(
        "strided-input", X, kernel_size=3, stride=2, padding=1, layout="strided", tags=("strided",)
    ),
    _avg("reversed-input", X, kernel_size=2, layout="reversed", tags=("strided",)),
    _avg(
        "channels-last-input", X, kernel_size=3, stride=2, layout="channels_last", tags=("strided",)
    ),
    _avg(
        "beyond-a-tile",
        (1, 2, 37, 70),
        kernel_size=3,
        stride=(1, 2),
        padding=1,
        note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
    ),
]

ADAPTIVE_AVG_POOL2D = [
    _adaptive("plain", X, (3, 2), note="7 to 3 and 9 to 2: bins overlap"),
    _adaptive("divides", (2, 3, 6, 8), (3, 2)),
    _adaptive("int", X, 3),
    _adaptive("to-one", X, 1),
    _adaptive("row", X, (1, 4)),
    _adaptive("height-kept", X, (None, 4)),
    _adaptive("width-kept", X, (5, None)),
    _adaptive("identity", X, (7, 9)),
    _adaptive("upsample", (2, 3, 3, 4), (5, 7), tags=("edge",), note="more bins than pixels"),
    _adaptive("mixed", (2, 3, 3, 9), (5, 4), tags=("edge",)),
    _adaptive("one-pixel", (2, 3, 1, 1), (2, 3), tags=("edge",)),
    _adaptive("unbatched", (3, 7, 9), (3, 2), tags=("unbatched",)),
    _adaptive("empty-batch", (0, 3, 7, 9), (3, 2), tags=("empty",)),
    _adaptive("strided-input", X, (3, 2), layout="strided", tags=("strided",)),
    _adaptive("reversed-input", X, (4, 5), layout="reversed", tags=("strided",)),
    _adaptive("channels-last-input", X, (4, 5), layout="channels_last", tags=("strided",)),
    _adaptive(
        "beyond-a-tile",
        (1, 2, 37, 70),
        (9, 33),
        note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
    ),
]
