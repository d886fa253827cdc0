"""Rows for unfold (im2col) and fold (col2im)."""

from __future__ import annotations

from typing import Any

from minideeplab.testing.case import Case, single


def _unfold(name: str, x: tuple[int, ...], **options: Any) -> Case:
    return single("unfold", name, x, **options)


def _fold(name: str, x: tuple[int, ...], **options: Any) -> Case:
    return single("fold", name, x, **options)


X = (2, 3, 6, 7)

UNFOLD = [
    _unfold("plain", X, kernel_size=(2, 3)),
    _unfold("int", X, kernel_size=2),
    _unfold("stride", X, kernel_size=(2, 3), stride=(3, 2)),
    _unfold("padding", X, kernel_size=(3, 2), padding=(2, 1)),
    _unfold("dilation", X, kernel_size=(2, 3), dilation=(3, 2)),
    _unfold("everything", X, kernel_size=(3, 2), dilation=(2, 3), padding=(1, 2), stride=(2, 3)),
    _unfold("1x1", X, kernel_size=1, stride=(2, 1)),
    _unfold("whole-image", X, kernel_size=(6, 7)),
    _unfold(
        "only-padding-seen", (2, 3, 2, 2), kernel_size=2, dilation=5, padding=4, tags=("edge",)
    ),
    _unfold("stride-larger-than-kernel", (2, 3, 8, 9), kernel_size=2, stride=(3, 4)),
    _unfold("one-pixel", (2, 3, 1, 1), kernel_size=3, padding=1, tags=("edge",)),
    _unfold("unbatched", (3, 6, 7), kernel_size=(2, 3), tags=("unbatched",)),
    _unfold("empty-batch", (0, 3, 6, 7), kernel_size=(2, 3), tags=("empty",)),
    _unfold("strided-input", X, kernel_size=(2, 3), padding=1, layout="strided", tags=("strided",)),
    _unfold(
        "reversed-input", X, kernel_size=(2, 3), stride=2, layout="reversed", tags=("strided",)
    ),
    _unfold(
        "beyond-a-tile",
        (1, 3, 19, 37),
        kernel_size=3,
        padding=1,
        stride=(1, 2),
        note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
    ),
    _unfold("channels-last-input", X, kernel_size=2, layout="channels_last", tags=("strided",)),
]

FOLD = [
    _fold("plain", (2, 18, 25), output_size=(6, 7), kernel_size=(2, 3)),
    _fold("int", (2, 12, 16), output_size=5, kernel_size=2),
    _fold("stride", (2, 18, 6), output_size=(6, 7), kernel_size=(2, 3), stride=(3, 2)),
    _fold("padding", (2, 18, 64), output_size=(6, 7), kernel_size=(3, 2), padding=(2, 1)),
    _fold("dilation", (2, 18, 9), output_size=(6, 7), kernel_size=(2, 3), dilation=(3, 2)),
    _fold(
        "everything",
        (2, 18, 6),
        output_size=(6, 7),
        kernel_size=(3, 2),
        dilation=(2, 3),
        padding=(1, 2),
        stride=(2, 3),
    ),
    _fold("no-overlap", (2, 18, 6), output_size=(4, 9), kernel_size=(2, 3), stride=(2, 3)),
    _fold("gaps", (2, 12, 4), output_size=(6, 7), kernel_size=2, stride=(3, 4), tags=("edge",)),
    _fold("1x1", (2, 3, 12), output_size=(6, 4), kernel_size=1, stride=(2, 1)),
    _fold("one-pixel", (2, 27, 1), output_size=(1, 1), kernel_size=3, padding=1, tags=("edge",)),
    _fold("unbatched", (18, 25), output_size=(6, 7), kernel_size=(2, 3), tags=("unbatched",)),
    _fold("empty-batch", (0, 18, 25), output_size=(6, 7), kernel_size=(2, 3), tags=("empty",)),
    _fold(
        "strided-input",
        (2, 18, 25),
        output_size=(6, 7),
        kernel_size=(2, 3),
        layout="strided",
        tags=("strided",),
    ),
    _fold(
        "reversed-input",
        (2, 18, 25),
        output_size=(6, 7),
        kernel_size=(2, 3),
        layout="reversed",
        tags=("strided",),
    ),
    _fold(
        "beyond-a-tile",
        (1, 27, 361),
        output_size=(19, 37),
        kernel_size=3,
        padding=1,
        stride=(1, 2),
        note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
    ),
]
