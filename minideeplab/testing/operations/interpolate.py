"""interpolate: resizing to the nearest pixel or bilinearly."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.case import Case, planted
from minideeplab.testing.mutant import Function
from minideeplab.testing.operation import Drawn, Operation, Result, Rng, Sides
from minideeplab.testing.operations.interpolate_mutants import BACKWARD, FORWARD
from minideeplab.testing.random_arrays import (
    array,
    batch,
    chance,
    decimal,
    normals,
    random_pair,
    whole,
)
from minideeplab.testing.rows import Rows, single

INF, NAN = float("inf"), float("nan")


def _row(kind: str, name: str, x: tuple[int, ...], **options: Any) -> Case:
    return single("interpolate", f"{kind}-{name}", x, **options)


row = Rows(single, "interpolate")
nearest = Rows(_row, "nearest", mode="nearest")
half = Rows(_row, "half-pixel", mode="bilinear", align_corners=False)
corners = Rows(_row, "corners", mode="bilinear", align_corners=True)

X = (2, 3, 5, 7)

ROWS = [
    row("default-mode", X, size=(8, 9), note="the default mode is nearest"),
    row("bilinear-default", X, size=(8, 9), mode="bilinear",
        note="align_corners is False by default"),
    nearest("up", X, size=(9, 16)),
    nearest("down", X, size=(3, 4)),
    nearest("mixed", X, size=(9, 4)),
    nearest("int-size", X, size=6),
    nearest("scale", X, scale_factor=2),
    nearest("scale-per-axis", X, scale_factor=(3, 2)),
    nearest("scale-fraction", X, scale_factor=1.7),
    nearest("scale-down", X, scale_factor=(0.6, 0.45)),
    nearest("scale-same-size", X, scale_factor=1.1, tags="quirk",
            note="an output of the input's size is a copy, whatever the factor"),
    nearest("scale-doubles", X, scale_factor=2.1, tags="quirk",
            note="an output of twice the size repeats every pixel, whatever the factor"),
    nearest("scale-recomputed", X, scale_factor=1.7, recompute_scale_factor=True),
    nearest("to-one", X, size=1),
    nearest.edge("from-one", (2, 3, 1, 1), size=(3, 2)),
    nearest("identity", X, size=(5, 7)),
    nearest("nan", X, size=(8, 4), fill=planted(NAN, INF, -INF, share=0.3), tags="nan"),
    nearest.empty((0, 3, 5, 7), size=(8, 4)),
    nearest.laid("strided", X, size=(8, 4)),
    nearest.laid("reversed", X, size=(8, 4)),
    half("up", X, size=(9, 16)),
    half("down", X, size=(3, 4)),
    half("mixed", X, size=(9, 4)),
    half("by-8", (2, 3, 3, 4), size=(24, 32)),
    half("scale", X, scale_factor=2),
    half("scale-per-axis", X, scale_factor=(3.0, 2.0)),
    half("scale-fraction", X, scale_factor=1.7,
         note="the coordinates use the given factor, not the ratio of the sizes"),
    half("scale-same-size", X, scale_factor=1.1, tags="quirk"),
    half("scale-doubles", X, scale_factor=2.1),
    half("scale-recomputed", X, scale_factor=1.7, recompute_scale_factor=True),
    half("scale-down", X, scale_factor=(0.7, 0.45)),
    half("int-size", X, size=6),
    half("to-one", X, size=(1, 1)),
    half.edge("from-one", (2, 3, 1, 1), size=(3, 2)),
    half("identity", X, size=(5, 7)),
    half.empty((0, 3, 5, 7), size=(8, 4)),
    half.laid("channels_last", X, size=(8, 4)),
    half.laid("reversed", X, size=(8, 4)),
    corners("up", X, size=(9, 16)),
    corners("down", X, size=(3, 4)),
    corners("mixed", X, size=(9, 4)),
    corners("deeplab-by-8", (2, 3, 3, 4), size=(17, 25),
            note="(k+1, l+1) scores to (8k+1, 8l+1) pixels: every eighth pixel is a score"),
    corners("scale", X, scale_factor=2),
    corners("scale-fraction", X, scale_factor=(1.7, 2.4)),
    corners.edge("to-one", X, size=(1, 1), note="one output pixel is the first"),
    corners.edge("to-one-row", X, size=(1, 9)),
    corners.edge("to-two", X, size=(2, 3)),
    corners.edge("from-one", (2, 3, 1, 1), size=(3, 2)),
    corners("identity", X, size=(5, 7)),
    corners("identity-nan", X, size=(5, 7), fill=planted(NAN, INF), tags="nan quirk",
            note="a copy: no neighbour leaks in as 0 times NaN"),
    corners.empty((0, 3, 5, 7), size=(8, 4)),
    corners.laid("strided", X, size=(8, 4)),
    corners.laid("broadcast", X, size=(8, 4)),
    nearest.tile((1, 2, 9, 35), size=(37, 70)),
    half("beyond-a-tile", (1, 2, 9, 35), size=(37, 70)),
    corners("beyond-a-tile", (1, 2, 9, 17), size=(65, 129)),
    *(kind.large("factor", (1, 1, 3, 2), size=(75, 44)) for kind in (nearest, half, corners)),
    *(kind.large("shrinking", (1, 1, 75, 44), size=(3, 2)) for kind in (nearest, half, corners)),
    half.large("channels", (1, 300, 2, 3), size=3),
    half.large("batch", (20, 1, 2, 3), size=3),
]  # fmt: skip


def resize_constant(f: Function, rng: Rng, dtype: Any) -> Sides:
    """The weights of every output pixel sum to one: bilinear partition of unity."""
    x = np.full((2, 3, 5, 7), 3.5, dtype)
    sizes = {"size": (13, 4), "mode": "bilinear"}
    y = np.concatenate([f(x, align_corners=corners, **sizes) for corners in (True, False)])
    return y, np.full_like(y, 3.5), 4.0


def resize_ramp(f: Function, rng: Rng, dtype: Any) -> Sides:
    """With aligned corners a plane stays a plane."""
    rows, columns = np.mgrid[0:5, 0:7].astype(dtype)
    x = (2 * rows - columns)[None, None]
    wide = f(x, size=(17, 25), mode="bilinear", align_corners=True)
    plane = 2 * np.linspace(0, 4, 17)[:, None] - np.linspace(0, 6, 25)
    return wide, plane[None, None], 7.0**2


def resize_keeps_samples(f: Function, rng: Rng, dtype: Any) -> Sides:
    """(8k+1, 8l+1) pixels with aligned corners: every eighth is an input pixel."""
    (x,) = normals(rng, dtype, (2, 3, 3, 4))
    wide = f(x, size=(17, 25), mode="bilinear", align_corners=True)
    return wide[..., ::8, ::8], x, 4.0**2


def _draw(rng: Rng) -> Drawn:
    shape = (batch(rng), whole(rng, 1, 3), whole(rng, 1, 9), whole(rng, 1, 9))
    options: dict[str, Any] = {"mode": str(rng.choice(["nearest", "bilinear"]))}
    if chance(rng, 0.5):
        options["size"] = random_pair(rng, 1, 20)
    else:
        factors = decimal(rng, 0.3, 3.0), decimal(rng, 0.3, 3.0)
        options["scale_factor"] = factors if chance(rng, 0.7) else factors[0]
        if chance(rng, 0.3):
            options["recompute_scale_factor"] = True
    if options["mode"] == "bilinear":
        options["align_corners"] = chance(rng, 0.5)
    return Drawn({"input": array(rng, shape)}, options)


def _products(result: Result) -> float:
    """Return the products, and more: the rounding of a coordinate grows with the coordinate."""
    x, y = result.x, result.output
    return max(x.size, y.size) * (4.0 + max(x.shape[2:] + y.shape[2:]) ** 2)


def _copied(case: Case) -> bool:
    """Return whether torch repeats pixels because the output is as large, or twice as large."""
    options, size = case.options, case.arrays["input"].shape[2:]
    if "scale_factor" not in options or options.get("recompute_scale_factor"):
        return False
    out = [
        int(n * f) for n, f in zip(size, np.broadcast_to(options["scale_factor"], 2), strict=True)
    ]
    return any(o in (n, 2 * n) for o, n in zip(out, size, strict=True))


OPERATION = Operation(
    "interpolate",
    ROWS,
    sample=half("sample", (2, 3, 4, 5), size=(7, 3)),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="single-precision double-result first-image strides-ignored empty-refused"
    " last-column-lost tile-only gradient-zero cotangent-ignored buffer-reused",
    equations=(resize_constant, resize_ramp, resize_keeps_samples),
    linear=True,
    exact=lambda case, what: what == "output" and case.options.get("mode", "nearest") == "nearest",
    products=_products,
    quirk=_copied,
)
