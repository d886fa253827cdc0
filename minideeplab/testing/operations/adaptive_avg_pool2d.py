"""adaptive_avg_pool2d: the mean of bins that divide the image into a grid of a given size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.case import Case
from minideeplab.testing.mutant import Function, first_only, on, pair, right, swapped
from minideeplab.testing.operation import Drawn, Operation, Rng, Sides
from minideeplab.testing.random_arrays import array, chance, planes, random_pair, whole
from minideeplab.testing.rows import Rows, single

X = (2, 3, 7, 9)


def _row(name: str, x: tuple[int, ...], output_size: Any, **options: Any) -> Case:
    return single("adaptive_avg_pool2d", name, x, output_size=output_size, **options)


row = Rows(_row)

ROWS = [
    row("plain", X, (3, 2), note="7 to 3 and 9 to 2: bins overlap"),
    row("divides", (2, 3, 6, 8), (3, 2)),
    row("int", X, 3),
    row("to-one", X, 1),
    row("row", X, (1, 4)),
    row("height-kept", X, (None, 4)),
    row("width-kept", X, (5, None)),
    row("identity", X, (7, 9)),
    row.edge("upsample", (2, 3, 3, 4), (5, 7), note="more bins than pixels"),
    row.edge("mixed", (2, 3, 3, 9), (5, 4)),
    row.edge("one-pixel", (2, 3, 1, 1), (2, 3)),
    row("unbatched", (3, 7, 9), (3, 2), tags="unbatched"),
    row.empty((0, 3, 7, 9), (3, 2)),
    row.laid("strided", X, (3, 2)),
    row.laid("reversed", X, (4, 5)),
    row.laid("channels_last", X, (4, 5)),
    row.tile((1, 2, 37, 70), (9, 33)),
    row.large("output", (1, 1, 3, 2), (40, 33)),
    row.large("channels", (1, 300, 2, 3), 2),
    row.large("batch", (20, 1, 2, 3), 2),
]  # fmt: skip


def adaptive_constant(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Bins of any size preserve a constant."""
    y = f(np.full((2, 3, 7, 8), 3.5, dtype), output_size=(3, 5))
    return y, np.full((2, 3, 3, 5), 3.5), 9.0


def _draw(rng: Rng) -> Drawn:
    size = random_pair(rng, 1, 8)
    if not isinstance(size, int) and chance(rng, 0.2):
        size = (None, size[1])
    return Drawn({"input": array(rng, planes(rng, whole(rng, 1, 3)))}, {"output_size": size})


Bin = tuple[int, int]


def _right_bin(i: int, size: int, count: int) -> Bin:
    """Return the right start and end of bin ``i`` of ``count`` over ``size`` pixels."""
    return i * size // count, -(-(i + 1) * size // count)


def _disjoint(i: int, size: int, count: int) -> Bin:
    return i * size // count, max(i * size // count + 1, (i + 1) * size // count)


def _equal(i: int, size: int, count: int) -> Bin:
    width = max(1, size // count)
    return min(i * width, size - 1), min(i * width, size - 1) + width


def _pooled(
    bin_of: Callable[[int, int, int], Bin] = _right_bin, pooled: Callable[..., np.ndarray] = np.mean
) -> Function:
    """Return adaptive pooling with other bins, or another result for the pixels of a bin."""

    def forward(x: np.ndarray, output_size: Any) -> np.ndarray:
        height, width = x.shape[-2:]
        shape = [s or n for n, s in zip((height, width), pair(output_size), strict=True)]
        y = np.empty((*x.shape[:-2], *shape), x.dtype)
        for i, j in np.ndindex(*shape):
            rows = slice(*bin_of(i, height, shape[0]))
            columns = slice(*bin_of(j, width, shape[1]))
            y[..., i, j] = pooled(x[..., rows, columns], axis=(-2, -1))
        return y

    return forward


adaptive = right("adaptive_avg_pool2d")

FORWARD = {
    "bins-disjoint": (_pooled(_disjoint), "bins end where the next begins: the end must round up"),
    "bins-equal": (_pooled(_equal), "all bins have size // count pixels"),
    "maximum": (_pooled(pooled=np.max), "it takes the maximum of each bin"),
    "sum": (_pooled(pooled=np.sum), "it sums each bin instead of averaging"),
    "first": (_pooled(pooled=lambda part, axis: part[..., 0, 0]),
              "it takes the first pixel of each bin"),
    "size-swapped": (adaptive.altered(output_size=swapped),
                     "the output's height and width are confused"),
    "size-of-height": (adaptive.altered(output_size=first_only),
                       "the output's height is used for both axes"),
}  # fmt: skip

BACKWARD = {
    "dx-negated": (on(0, np.negative), "dx has the opposite sign"),
    "dx-mean": (on(0, lambda g: np.broadcast_to(g.mean((-2, -1), keepdims=True), g.shape)),
                "dx spreads the gradient evenly over the image"),
}  # fmt: skip


OPERATION = Operation(
    "adaptive_avg_pool2d",
    ROWS,
    sample=row("sample", (2, 3, 7, 8), (3, 5)),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="batch-axis-kept",
    equations=(adaptive_constant,),
    linear=True,
)
