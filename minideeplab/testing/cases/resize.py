"""Rows for interpolate and pad."""

from __future__ import annotations

from typing import Any

from minideeplab.testing.case import Case, planted, single

INF, NAN = float("inf"), float("nan")


def _nearest(name: str, x: tuple[int, ...], **options: Any) -> Case:
    return single("interpolate", f"nearest-{name}", x, mode="nearest", **options)


def _half(name: str, x: tuple[int, ...], **options: Any) -> Case:
    """Half-pixel centres: align_corners=False."""
    return single(
        "interpolate", f"half-pixel-{name}", x, mode="bilinear", align_corners=False, **options
    )


def _corners(name: str, x: tuple[int, ...], **options: Any) -> Case:
    return single(
        "interpolate", f"corners-{name}", x, mode="bilinear", align_corners=True, **options
    )


def _pad(name: str, x: tuple[int, ...], pad: tuple[int, ...], **options: Any) -> Case:
    return single("pad", name, x, pad=pad, **options)


X = (2, 3, 5, 7)

INTERPOLATE = [
    single("interpolate", "default-mode", X, size=(8, 9), note="the default mode is nearest"),
    single(
        "interpolate",
        "bilinear-default",
        X,
        size=(8, 9),
        mode="bilinear",
        note="align_corners is False by default",
    ),
    _nearest("up", X, size=(9, 16)),
    _nearest("down", X, size=(3, 4)),
    _nearest("mixed", X, size=(9, 4)),
    _nearest("int-size", X, size=6),
    _nearest("scale", X, scale_factor=2),
    _nearest("scale-per-axis", X, scale_factor=(3, 2)),
    _nearest("scale-fraction", X, scale_factor=1.7),
    _nearest("scale-down", X, scale_factor=(0.6, 0.45)),
    _nearest(
        "scale-same-size",
        X,
        scale_factor=1.1,
        tags=("quirk",),
        note="an output of the input's size is a copy, whatever the factor",
    ),
    _nearest(
        "scale-doubles",
        X,
        scale_factor=2.1,
        tags=("quirk",),
        note="an output of twice the size repeats every pixel, whatever the factor",
    ),
    _nearest("scale-recomputed", X, scale_factor=1.7, recompute_scale_factor=True),
    _nearest("to-one", X, size=1),
    _nearest("from-one", (2, 3, 1, 1), size=(3, 2), tags=("edge",)),
    _nearest("identity", X, size=(5, 7)),
    _nearest("nan", X, size=(8, 4), fill=planted(NAN, INF, -INF, share=0.3), tags=("nan",)),
    _nearest("empty-batch", (0, 3, 5, 7), size=(8, 4), tags=("empty",)),
    _nearest("strided-input", X, size=(8, 4), layout="strided", tags=("strided",)),
    _nearest("reversed-input", X, size=(8, 4), layout="reversed", tags=("strided",)),
    _half("up", X, size=(9, 16)),
    _half("down", X, size=(3, 4)),
    _half("mixed", X, size=(9, 4)),
    _half("by-8", (2, 3, 3, 4), size=(24, 32)),
    _half("scale", X, scale_factor=2),
    _half("scale-per-axis", X, scale_factor=(3.0, 2.0)),
    _half(
        "scale-fraction",
        X,
        scale_factor=1.7,
        note="the coordinates use the given factor, not the ratio of the sizes",
    ),
    _half("scale-same-size", X, scale_factor=1.1, tags=("quirk",)),
    _half("scale-doubles", X, scale_factor=2.1),
    _half("scale-recomputed", X, scale_factor=1.7, recompute_scale_factor=True),
    _half("scale-down", X, scale_factor=(0.7, 0.45)),
    _half("int-size", X, size=6),
    _half("to-one", X, size=(1, 1)),
    _half("from-one", (2, 3, 1, 1), size=(3, 2), tags=("edge",)),
    _half("identity", X, size=(5, 7)),
    _half("empty-batch", (0, 3, 5, 7), size=(8, 4), tags=("empty",)),
    _half("channels-last-input", X, size=(8, 4), layout="channels_last", tags=("strided",)),
    _half("reversed-input", X, size=(8, 4), layout="reversed", tags=("strided",)),
    _corners("up", X, size=(9, 16)),
    _corners("down", X, size=(3, 4)),
    _corners("mixed", X, size=(9, 4)),
    _corners(
        "deeplab-by-8",
        (2, 3, 3, 4),
        size=(17, 25),
        note="(k+1, l+1) scores to (8k+1, 8l+1) pixels: every eighth pixel is a score",
    ),
    _corners("scale", X, scale_factor=2),
    _corners("scale-fraction", X, scale_factor=(1.7, 2.4)),
    _corners("to-one", X, size=(1, 1), tags=("edge",), note="one output pixel is the first"),
    _corners("to-one-row", X, size=(1, 9), tags=("edge",)),
    _corners("to-two", X, size=(2, 3), tags=("edge",)),
    _corners("from-one", (2, 3, 1, 1), size=(3, 2), tags=("edge",)),
    _corners("identity", X, size=(5, 7)),
    _corners(
        "identity-nan",
        X,
        size=(5, 7),
        fill=planted(NAN, INF),
        tags=("nan", "quirk"),
        note="a copy: no neighbour leaks in as 0 times NaN",
    ),
    _corners("empty-batch", (0, 3, 5, 7), size=(8, 4), tags=("empty",)),
    _corners("strided-input", X, size=(8, 4), layout="strided", tags=("strided",)),
    _corners("broadcast-input", X, size=(8, 4), layout="broadcast", tags=("strided",)),
    _nearest(
        "beyond-a-tile",
        (1, 2, 9, 35),
        size=(37, 70),
        note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
    ),
    _half("beyond-a-tile", (1, 2, 9, 35), size=(37, 70)),
    _corners("beyond-a-tile", (1, 2, 9, 17), size=(65, 129)),
]

PAD = [
    _pad("plain", X, (1, 2, 3, 4), note="left, right, top, bottom: the last axis comes first"),
    _pad("last-axis", X, (2, 1)),
    _pad("three-axes", X, (1, 0, 2, 1, 0, 3)),
    _pad("four-axes", X, (0, 1, 1, 0, 2, 1, 1, 0)),
    _pad("value", X, (1, 2, 0, 3), value=-1.5),
    _pad("infinite-value", X, (1, 2, 0, 3), value=-INF, tags=("nan",)),
    _pad("nothing", X, (0, 0, 0, 0)),
    _pad("crop", X, (-1, -2, -2, 0), tags=("edge",)),
    _pad("crop-and-pad", X, (-2, 3, 1, -1), value=2.0, tags=("edge",)),
    _pad("vector", (5,), (2, 1), value=1.0),
    _pad("reflect", X, (3, 2, 1, 4), mode="reflect", note="the edge itself is not repeated"),
    _pad("reflect-largest", X, (6, 6, 4, 4), mode="reflect", tags=("edge",)),
    _pad("reflect-unbatched", (3, 5, 7), (2, 1, 0, 3), mode="reflect", tags=("unbatched",)),
    _pad("replicate", X, (3, 2, 1, 4), mode="replicate"),
    _pad("replicate-wide", X, (9, 0, 0, 8), mode="replicate", tags=("edge",)),
    _pad("replicate-unbatched", (3, 5, 7), (2, 1, 0, 3), mode="replicate", tags=("unbatched",)),
    _pad("circular", X, (3, 2, 1, 4), mode="circular"),
    _pad("circular-largest", X, (7, 7, 5, 5), mode="circular", tags=("edge",)),
    _pad("nan", X, (1, 2, 3, 0), mode="replicate", fill=planted(NAN, INF), tags=("nan",)),
    _pad("empty-batch", (0, 3, 5, 7), (1, 2, 3, 4), tags=("empty",)),
    _pad("strided-input", X, (1, 2, 3, 4), layout="strided", tags=("strided",)),
    _pad("reversed-input", X, (1, 2, 3, 4), mode="reflect", layout="reversed", tags=("strided",)),
    _pad(
        "channels-last-input",
        X,
        (1, 2, 3, 4),
        mode="replicate",
        layout="channels_last",
        tags=("strided",),
    ),
    _pad(
        "beyond-a-tile",
        (1, 2, 35, 67),
        (1, 2, 3, 4),
        mode="reflect",
        note="a fast kernel works in tiles of 8, 16, 32 or 64: this ends inside one",
    ),
]
