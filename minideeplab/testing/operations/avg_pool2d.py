"""avg_pool2d: the mean of each window."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.case import constant, planted
from minideeplab.testing.mutant import Function, right, swapped
from minideeplab.testing.operation import Drawn, Operation, Rng, Sides
from minideeplab.testing.operations.windows import draw_pool, onnx_pool, taps, window_products
from minideeplab.testing.random_arrays import chance, whole
from minideeplab.testing.rows import Rows, single

NAN = float("nan")
X = (2, 3, 7, 9)
row = Rows(single, "avg_pool2d")
uncounted = Rows(single, "avg_pool2d", count_include_pad=False)

ROWS = [
    row("plain", X, kernel_size=2),
    row("kernel", X, kernel_size=(3, 2)),
    row("stride", X, kernel_size=(2, 3), stride=(3, 1)),
    row("stride-of-nothing", X, kernel_size=(2, 3), stride=(), tags="quirk",
        note="torch takes () as the kernel's size, its own default"),
    row("deeplab-pool5a", (2, 3, 5, 6), kernel_size=3, stride=1, padding=1),
    row("padding", X, kernel_size=(4, 2), stride=(2, 3), padding=(2, 1)),
    uncounted("padding-not-counted", X, kernel_size=(4, 2), stride=(2, 3), padding=(2, 1)),
    uncounted("pool3-not-counted", (2, 3, 5, 6), kernel_size=3, stride=1, padding=1),
    row("divisor", X, kernel_size=(3, 2), divisor_override=5),
    uncounted("divisor-padding", X, kernel_size=3, stride=2, padding=1, divisor_override=2,
              note="the override wins over the count"),
    row("floor-drops-the-rest", (2, 3, 8, 9), kernel_size=3, stride=3),
    row("ceil", (2, 3, 8, 10), kernel_size=3, stride=(3, 2), ceil_mode=True,
        note="what lies beyond the padding is not counted, even when the padding is"),
    row("ceil-padding", (2, 3, 8, 9), kernel_size=(3, 4), stride=(3, 2), padding=(1, 2),
        ceil_mode=True),
    uncounted("ceil-padding-not-counted", (2, 3, 8, 9), kernel_size=(3, 4), stride=(3, 2),
              padding=(1, 2), ceil_mode=True),
    row("ceil-divisor", (2, 3, 8, 10), kernel_size=3, stride=(3, 2), ceil_mode=True,
        divisor_override=7),
    row.edge("ceil-last-window-dropped", (2, 3, 5, 6), kernel_size=2, stride=(4, 3), padding=1,
             ceil_mode=True),
    row.edge("ceil-exact", (2, 3, 7, 9), kernel_size=3, stride=2, ceil_mode=True),
    row.edge("kernel-covers-input", (2, 3, 3, 4), kernel_size=(4, 5), padding=(2, 1)),
    row("global", X, kernel_size=(7, 9)),
    row.edge("one-pixel", (2, 3, 1, 1), kernel_size=3, padding=1),
    uncounted.edge("one-pixel-not-counted", (2, 3, 1, 1), kernel_size=3, padding=1),
    row("stride-larger-than-kernel", (2, 3, 9, 11), kernel_size=2, stride=(3, 4)),
    row("large-values", X, kernel_size=3, fill=constant(1e6)),
    row("nan", X, kernel_size=(3, 2), stride=(2, 1), fill=planted(NAN, share=0.05),
        tags="nan quirk"),
    row("unbatched", (3, 7, 9), kernel_size=2, stride=(2, 1), tags="unbatched"),
    row.empty((0, 3, 7, 9), kernel_size=2),
    row.laid("strided", X, kernel_size=3, stride=2, padding=1),
    row.laid("reversed", X, kernel_size=2),
    row.laid("channels_last", X, kernel_size=3, stride=2),
    row.tile((1, 2, 37, 70), kernel_size=3, stride=(1, 2), padding=1),
    row.large("channels", (1, 300, 2, 3), kernel_size=2),
    row.large("batch", (20, 1, 2, 3), kernel_size=2),
    row.large("kernel", (1, 1, 30, 40), kernel_size=(13, 17), stride=(10, 9), padding=(3, 5)),
]  # fmt: skip


def pool_constant(f: Function, rng: Rng, dtype: Any) -> Sides:
    """The average of a constant is the constant, if the padding does not count."""
    x = np.full((2, 3, 7, 8), 3.5, dtype)
    y = f(x, kernel_size=3, stride=2, padding=1, ceil_mode=True, count_include_pad=False)
    return y, np.full_like(y, 3.5), 9.0


def _draw(rng: Rng) -> Drawn:
    divisor = {"divisor_override": whole(rng, 1, 7)} if chance(rng, 0.3) else {}
    return draw_pool(rng, {"count_include_pad": chance(rng, 0.5)} | divisor)


avg_pool = right("avg_pool2d")
altered = avg_pool.altered


def _whole_kernel(x: np.ndarray, **options: Any) -> np.ndarray:
    divisor = options.get("divisor_override") or taps(options)
    return avg_pool(x, **options | {"divisor_override": divisor})


def _uniform_share(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> Any:
    """Return dx in which every window gives 1 / (kernel area) to each of its pixels."""
    if options.get("ceil_mode") or arrays[0].size == 0:
        return {}
    shape, kernel, area = arrays[0].shape, options["kernel_size"], taps(options)
    shares = np.repeat(dy.reshape(*shape[:-2], 1, -1) / area, area, axis=-2)
    columns = shares.reshape(*shape[:-3], -1, shares.shape[-1])
    window = {"stride": options.get("stride") or kernel, "padding": options.get("padding", 0)}
    return right("fold")(columns, shape[-2:], kernel, **window)


FORWARD = {
    "padding-counted": (altered(count_include_pad=lambda c: True), "the padding is always counted"),
    "padding-not-counted": (altered(count_include_pad=lambda c: False),
                            "the padding is never counted"),
    **avg_pool.confused(padding="ignored swapped"),
    "divisor-ignored": (avg_pool.without("divisor_override"), "divisor_override is ignored"),
    "whole-kernel": (_whole_kernel,
                     "every window is divided by the whole kernel, even where it sticks out"),
    "sum": (altered(divisor_override=lambda d: 1), "the window is summed instead of averaged"),
    "ceil-ignored": (avg_pool.without("ceil_mode"), "ceil_mode is ignored"),
    "ceil-always": (altered(ceil_mode=lambda c: True), "the output size is always rounded up"),
    "stride-one": (altered(stride=lambda s: 1 if s is None else s),
                   "the default stride is 1 instead of the kernel size"),
    **avg_pool.confused(stride="swapped"),
    "kernel-swapped": (altered(kernel_size=swapped), "the kernel's height and width are confused"),
    "maximum": (
        lambda x, kernel_size, stride=None, padding=0, ceil_mode=False, **o: right("max_pool2d")(
            x, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode),
        "it takes the maximum instead of averaging"),
}  # fmt: skip

BACKWARD = {
    "dx-not-divided": (lambda g, dy, a, o: g[0] * taps(o),
                       "dx is not divided by the size of the window"),
    "dx-uniform": (_uniform_share,
                   "dx divides by the whole kernel whatever the forward divided by"),
}  # fmt: skip


OPERATION = Operation(
    "avg_pool2d",
    ROWS,
    sample=row("sample", (2, 3, 7, 8), kernel_size=3, stride=2, padding=1),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="single-precision double-result first-image strides-ignored empty-refused"
    " last-column-lost tile-only batch-axis-kept gradient-per-image cotangent-ignored"
    " buffer-reused",
    equations=(pool_constant,),
    linear=True,
    bordered=True,
    products=window_products,
    onnx=(
        "AveragePool",
        lambda o: onnx_pool(o) | {"count_include_pad": int(o["count_include_pad"])},
    ),
)
