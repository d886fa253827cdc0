"""fold: col2im, columns added up to an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.mutant import on, pair, right, swapped
from minideeplab.testing.operation import Drawn, Operation, Rng
from minideeplab.testing.operations.windows import draw_window, output_size, taps, window_products
from minideeplab.testing.random_arrays import array, batch, chance, random_pair, whole
from minideeplab.testing.rows import Rows, single

X, SIZES = (2, 18, 25), {"output_size": (6, 7), "kernel_size": (2, 3)}
row = Rows(single, "fold")

ROWS = [
    row("plain", X, **SIZES),
    row("int", (2, 12, 16), output_size=5, kernel_size=2),
    row("stride", (2, 18, 6), **SIZES, stride=(3, 2)),
    row("padding", (2, 18, 64), output_size=(6, 7), kernel_size=(3, 2), padding=(2, 1)),
    row("dilation", (2, 18, 9), **SIZES, dilation=(3, 2)),
    row("everything", (2, 18, 6), output_size=(6, 7), kernel_size=(3, 2), dilation=(2, 3),
        padding=(1, 2), stride=(2, 3)),
    row("no-overlap", (2, 18, 6), output_size=(4, 9), kernel_size=(2, 3), stride=(2, 3)),
    row.edge("gaps", (2, 12, 4), output_size=(6, 7), kernel_size=2, stride=(3, 4)),
    row("1x1", (2, 3, 12), output_size=(6, 4), kernel_size=1, stride=(2, 1)),
    row.edge("one-pixel", (2, 27, 1), output_size=(1, 1), kernel_size=3, padding=1),
    row("unbatched", (18, 25), **SIZES, tags="unbatched"),
    row.empty((0, 18, 25), **SIZES),
    row.laid("strided", X, **SIZES),
    row.laid("reversed", X, **SIZES),
    row.tile((1, 27, 361), output_size=(19, 37), kernel_size=3, padding=1, stride=(1, 2)),
    row.large("channels", (1, 600, 6), output_size=(3, 3), kernel_size=(2, 1)),
    row.large("stride", (1, 12, 9), output_size=(23, 20), kernel_size=(2, 3), stride=(10, 7)),
    row.large("kernel", (1, 221, 4), output_size=(14, 18), kernel_size=(13, 17)),
    row.large("batch", (20, 4, 2), output_size=(2, 3), kernel_size=2),
]  # fmt: skip


def _draw(rng: Rng) -> Drawn:
    options = draw_window(rng) | {"output_size": random_pair(rng, 3, 11)}
    windows = output_size(pair(options["output_size"]), options)
    rows = whole(rng, 1, 3) * taps(options)
    shape = (batch(rng), rows, max(1, int(np.prod(np.maximum(windows, 0)))))
    return Drawn({"input": array(rng, shape[1:] if chance(rng, 0.1) else shape)}, options)


fold = right("fold")


def _taps_first(x: np.ndarray, **options: Any) -> tuple[np.ndarray]:
    places = taps(options)
    split = x.reshape(*x.shape[:-2], places, x.shape[-2] // places, x.shape[-1])
    return (split.swapaxes(-3, -2).reshape(x.shape),)


FORWARD = {
    "taps-first": (fold.before(_taps_first),
                   "the rows are read as (kh, kw, C) instead of (C, kh, kw)"),
    "averaged": (lambda x, **o: fold(x, **o) / np.maximum(fold(np.ones_like(x), **o), 1),
                 "overlapping windows are averaged instead of summed"),
    "padding-ignored": (lambda x, **o: np.roll(fold(x, **o), pair(o.get("padding", 0)), (-2, -1)),
                        "the padding is not cut off at the top and left"),
    "kernel-swapped": (fold.altered(kernel_size=swapped),
                       "the kernel's height and width are confused"),
    "size-swapped": (fold.altered(output_size=swapped),
                     "the output's height and width are confused"),
}  # fmt: skip

BACKWARD = {
    "dx-negated": (on(0, np.negative), "dx has the opposite sign"),
    "dx-averaged": (lambda g, dy, a, o: g[0] / taps(o), "dx is divided by the number of taps"),
}  # fmt: skip


OPERATION = Operation(
    "fold",
    ROWS,
    sample=row("sample", X, **SIZES),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="tile-only",
    linear=True,
    exact=lambda case, what: what == "grad_input",
    products=window_products,
)
