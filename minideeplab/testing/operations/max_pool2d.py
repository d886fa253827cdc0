"""max_pool2d: the largest value of each window, and where it was."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.case import constant, negative, placed, planted, ties
from minideeplab.testing.mutant import Function
from minideeplab.testing.operation import Drawn, Operation, Rng, Sides
from minideeplab.testing.operations.max_pool2d_mutants import BACKWARD, FORWARD
from minideeplab.testing.operations.windows import draw_pool, onnx_pool, window_products
from minideeplab.testing.random_arrays import chance, normals, random_pair
from minideeplab.testing.rows import Rows, single

INF, NAN = float("inf"), float("nan")
X = (2, 3, 7, 9)
row = Rows(single, "max_pool2d")
both = Rows(single, "max_pool2d", return_indices=True)

ROWS = [
    row("plain", X, kernel_size=2),
    row("kernel", X, kernel_size=(3, 2)),
    both("indices", X, kernel_size=(3, 2)),
    row("stride", X, kernel_size=(2, 3), stride=(3, 1)),
    row("stride-of-nothing", X, kernel_size=(2, 3), stride=(), tags="quirk",
        note="torch takes () as the kernel's size, its own default"),
    row("deeplab-pool1", (2, 3, 9, 17), kernel_size=3, stride=2, padding=1),
    both("deeplab-pool5", (2, 3, 5, 6), kernel_size=3, stride=1, padding=1,
         note="windows overlap: one pixel may win nine times and collect nine gradients"),
    both("padding", X, kernel_size=(4, 2), stride=(2, 3), padding=(2, 1)),
    row.edge("negative-values-padding", X, kernel_size=3, stride=2, padding=1, fill=negative,
             note="the padding is minus infinity, not zero"),
    both("dilation", X, kernel_size=(2, 3), dilation=(3, 2), stride=1),
    both("dilation-padding", X, kernel_size=3, dilation=(2, 3), stride=(1, 2), padding=1),
    both("everything", (2, 3, 11, 13), kernel_size=(3, 4), stride=(2, 3), padding=(1, 2),
         dilation=(2, 1), ceil_mode=True),
    row("floor-drops-the-rest", (2, 3, 8, 9), kernel_size=3, stride=3),
    both("ceil", (2, 3, 8, 10), kernel_size=3, stride=(3, 2), ceil_mode=True),
    row.edge("ceil-exact", (2, 3, 7, 9), kernel_size=3, stride=2, ceil_mode=True),
    row.edge("ceil-window-in-padding", (2, 3, 4, 5), kernel_size=1, stride=(3, 2), padding=0,
             ceil_mode=True),
    both.edge("ceil-last-window-dropped", (2, 3, 5, 6), kernel_size=2, stride=(4, 3), padding=1,
              ceil_mode=True, note="a window may not start in the padding on the right"),
    both("ties", X, kernel_size=(3, 2), stride=(2, 1), fill=ties, tags="tie",
         note="the first maximum in reading order wins"),
    both("all-equal", X, kernel_size=3, stride=2, padding=1, fill=constant(0.0), tags="tie"),
    both("ties-dilated", X, kernel_size=3, stride=1, dilation=2, padding=1, fill=ties, tags="tie"),
    row("nan", X, kernel_size=(3, 2), stride=(2, 1), fill=planted(NAN), gradient=False, tags="nan",
        note="a window with NaN gives NaN"),
    both("nan-indices", X, kernel_size=(3, 2), stride=(2, 1), fill=planted(NAN), tags="nan quirk",
         note="the last NaN of a window gets the gradient, the first in other frameworks"),
    both("infinite", X, kernel_size=3, stride=2, padding=1, fill=planted(INF, -INF, share=0.5),
         tags="nan"),
    both("all-minus-infinity", X, kernel_size=3, stride=2, padding=1, fill=placed({(0, 1): -INF}),
         gradient=False, tags="nan edge", note="the index is the first pixel of the window"),
    row("all-minus-infinity-gradient", X, kernel_size=3, stride=2, padding=1,
        fill=placed({(0, 1): -INF}), tags="nan edge quirk",
        note="the first pixel of the window gets the gradient, none in other frameworks"),
    row.edge("kernel-covers-input", (2, 3, 3, 4), kernel_size=(4, 5), padding=(2, 1)),
    both("global", X, kernel_size=(7, 9)),
    both.edge("one-pixel", (2, 3, 1, 1), kernel_size=1),
    row.edge("one-pixel-padded", (2, 3, 1, 1), kernel_size=3, stride=2, padding=1),
    row("stride-larger-than-kernel", (2, 3, 9, 11), kernel_size=2, stride=(3, 4)),
    both("unbatched", (3, 7, 9), kernel_size=2, stride=(2, 1), tags="unbatched"),
    row.empty((0, 3, 7, 9), kernel_size=2),
    both.laid("strided", X, kernel_size=3, stride=2, padding=1),
    both.laid("reversed", X, kernel_size=2),
    both.laid("channels_last", X, kernel_size=3, stride=2, padding=1),
    row.laid("broadcast", X, kernel_size=3),
    both.tile((1, 2, 37, 70), kernel_size=3, stride=2, padding=1),
    both.large("plane", (1, 1, 260, 255), kernel_size=(13, 15),
               note="66300 pixels: an index needs more than 16 bits"),
    both.large("channels", (1, 300, 2, 3), kernel_size=2),
    both.large("batch", (20, 1, 2, 3), kernel_size=2),
    both.large("kernel", (1, 1, 30, 40), kernel_size=(13, 17), stride=(10, 9), padding=(3, 5)),
    both.large("dilation", (1, 1, 32, 40), kernel_size=2, dilation=30, stride=1),
]  # fmt: skip


def max_of_maximum(f: Function, rng: Rng, dtype: Any) -> Sides:
    """The maximum goes through: f(max(x, z)) = max(f(x), f(z))."""
    x, z = normals(rng, dtype, (2, 3, 7, 9), (2, 3, 7, 9))
    options = {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1}
    return f(np.maximum(x, z), **options), np.maximum(f(x, **options), f(z, **options)), 0.0


def _draw(rng: Rng) -> Drawn:
    return draw_pool(rng, {"dilation": random_pair(rng, 1, 3), "return_indices": chance(rng, 0.7)})


OPERATION = Operation(
    "max_pool2d",
    ROWS,
    sample=row("sample", (2, 3, 7, 9), kernel_size=3, stride=2, padding=1),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="double-result first-image strides-ignored input-overwritten empty-refused"
    " last-column-lost tile-only batch-axis-kept gradient-negated cotangent-ignored"
    " cotangent-overwritten",
    equations=(max_of_maximum,),
    exact=lambda case, what: what in ("output", "indices"),
    bordered=True,
    products=window_products,
    onnx=("MaxPool", onnx_pool),
)
