"""unfold: im2col, the windows of an image as columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, on, pair, right, swapped
from minideeplab.testing.operation import Drawn, Operation, Rng
from minideeplab.testing.operations.windows import draw_window, output_size, taps, window_products
from minideeplab.testing.random_arrays import array, planes, whole
from minideeplab.testing.rows import Rows, single

X = (2, 3, 6, 7)
row = Rows(single, "unfold")

ROWS = [
    row("plain", X, kernel_size=(2, 3)),
    row("int", X, kernel_size=2),
    row("stride", X, kernel_size=(2, 3), stride=(3, 2)),
    row("padding", X, kernel_size=(3, 2), padding=(2, 1)),
    row("dilation", X, kernel_size=(2, 3), dilation=(3, 2)),
    row("everything", X, kernel_size=(3, 2), dilation=(2, 3), padding=(1, 2), stride=(2, 3)),
    row("1x1", X, kernel_size=1, stride=(2, 1)),
    row("whole-image", X, kernel_size=(6, 7)),
    row.edge("only-padding-seen", (2, 3, 2, 2), kernel_size=2, dilation=5, padding=4),
    row("stride-larger-than-kernel", (2, 3, 8, 9), kernel_size=2, stride=(3, 4)),
    row.edge("one-pixel", (2, 3, 1, 1), kernel_size=3, padding=1),
    row("unbatched", (3, 6, 7), kernel_size=(2, 3), tags="unbatched"),
    row.empty((0, 3, 6, 7), kernel_size=(2, 3)),
    row.laid("strided", X, kernel_size=(2, 3), padding=1),
    row.laid("reversed", X, kernel_size=(2, 3), stride=2),
    row.tile((1, 3, 19, 37), kernel_size=3, padding=1, stride=(1, 2)),
    row.laid("channels_last", X, kernel_size=2),
    row.large("stride", (1, 2, 23, 20), kernel_size=(2, 3), stride=(10, 7)),
    row.large("kernel", (1, 1, 14, 18), kernel_size=(13, 17)),
    row.large("dilation", (1, 1, 32, 30), kernel_size=2, dilation=(30, 27)),
    row.large("channels", (1, 300, 2, 3), kernel_size=(2, 1)),
    row.large("batch", (20, 1, 2, 3), kernel_size=2),
]  # fmt: skip


def _draw(rng: Rng) -> Drawn:
    return Drawn({"input": array(rng, planes(rng, whole(rng, 1, 3)))}, draw_window(rng))


def _reordered(change: Callable[[np.ndarray], np.ndarray]) -> Function:
    """Return unfold whose rows, as an array (..., C, kh, kw, windows), are reordered."""

    def forward(x: np.ndarray, **options: Any) -> np.ndarray:
        columns = unfold(x, **options)
        rows = (x.shape[-3], *pair(options["kernel_size"]))
        shape = (*columns.shape[:-2], *rows, columns.shape[-1])
        return change(columns.reshape(shape)).reshape(columns.shape)

    return forward


def _windows_down(x: np.ndarray, **options: Any) -> np.ndarray:
    """Return the windows ordered down the columns of the image instead of along its rows."""
    columns = unfold(x, **options)
    split = columns.reshape(*columns.shape[:-1], *output_size(x.shape[-2:], options))
    return np.ascontiguousarray(split.swapaxes(-2, -1)).reshape(columns.shape)


unfold = right("unfold")

FORWARD = {
    "taps-first": (_reordered(lambda rows: np.moveaxis(rows, -4, -2)),
                   "the rows are ordered (kh, kw, C) instead of (C, kh, kw)"),
    "transposed": (lambda x, **o: unfold(x, **o).swapaxes(-1, -2),
                   "rows and columns are exchanged: (N, L, C kh kw)"),
    "windows-down": (_windows_down, "the windows are counted down the columns"),
    **unfold.confused(padding="ignored", dilation="ignored from-zero",
               stride="ignored swapped"),
    "kernel-swapped": (unfold.altered(kernel_size=swapped),
                       "the kernel's height and width are confused"),
    "taps-down": (_reordered(lambda rows: rows.swapaxes(-3, -2)),
                  "the taps are ordered (kw, kh) instead of (kh, kw)"),
    "taps-backwards": (_reordered(lambda rows: rows[..., ::-1, ::-1, :]),
                       "the taps are ordered from the last to the first"),
}  # fmt: skip

BACKWARD = {
    "dx-averaged": (lambda g, dy, a, o: g[0] / taps(o),
                    "dx averages over the overlapping windows instead of summing"),
    "dx-negated": (on(0, np.negative), "dx has the opposite sign"),
}  # fmt: skip


OPERATION = Operation(
    "unfold",
    ROWS,
    sample=row("sample", X, kernel_size=(2, 3), padding=1),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="strides-ignored last-column-lost batch-axis-kept",
    linear=True,
    exact=lambda case, what: what == "output",
    bordered=True,
    products=window_products,
)
