"""gaussian_filter: the message passing of the dense CRF, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.case import Array, Case, Fill, constant, normal, spread
from minideeplab.testing.mutant import Function, right
from minideeplab.testing.operation import Drawn, Operation, Result, Rng, Sides, largest
from minideeplab.testing.operations.kernels import (
    NORMALIZATIONS,
    WRONG_KERNELS,
    Kernel,
    gaussian,
    normalised,
    renamed,
    squared,
    without_self,
    wrong_normalizations,
)
from minideeplab.testing.operations.products import DX_ZERO
from minideeplab.testing.random_arrays import array, normals, some, whole
from minideeplab.testing.rows import Rows, make_row


def _row(
    name: str,
    values: tuple[int, int],
    dimensions: int,
    *,
    fill: Fill = normal,
    layout: str = "contiguous",
    **details: Any,
) -> Case:
    arrays = {
        "input": Array(values, normal, layout),
        "features": Array((dimensions, values[1]), fill, layout),
    }
    return make_row("gaussian_filter", name, arrays, **details)


row = Rows(_row)

ROWS = [
    row("plane", (3, 40), 2),
    row("bilateral", (3, 40), 5),
    row("line", (2, 30), 1),
    row("many-features", (2, 30), 9),
    row("one-channel", (1, 40), 3),
    row.edge("one-point", (3, 1), 2, note="a point gets its own message"),
    row.edge("two-points", (3, 2), 2),
    row("same-place", (3, 20), 2, fill=constant(1.5), tags="tie"),
    row("near", (3, 40), 2, fill=spread(0.05), note="all messages have large weights"),
    row("far", (3, 40), 2, fill=spread(50.0), note="hardly any message has a weight"),
    row("far-from-origin", (3, 40), 2, fill=spread(1.0, 50.0),
        note="|f|^2 + |g|^2 - 2 f g loses digits here"),
    row("before", (3, 40), 2, normalization="before"),
    row("after", (3, 40), 2, normalization="after"),
    row("symmetric", (3, 40), 2, normalization="symmetric"),
    row("symmetric-near", (3, 40), 5, fill=spread(0.3), normalization="symmetric"),
    row.laid("strided", (3, 40), 2),
    row.laid("reversed", (3, 40), 3),
    row.laid("transposed", (3, 40), 3),
    row.large("points", (2, 300), 2),
    row.large("points-symmetric", (2, 300), 5, normalization="symmetric"),
    row.large("channels", (70, 20), 2),
    row.large("features", (2, 30), 40, fill=spread(0.2)),
]  # fmt: skip


def filter_permutation(f: Function, rng: Rng, dtype: Any) -> Sides:
    """The order of the points does not matter."""
    values, features = normals(rng, dtype, (3, 20), (4, 20))
    order = rng.permutation(20)
    return f(values[:, order], features[:, order]), f(values, features)[:, order], 200.0


def filter_constant(f: Function, rng: Rng, dtype: Any) -> Sides:
    """A filter that is normalised afterwards preserves constants."""
    (features,) = normals(rng, dtype, (4, 20))
    ones = np.full((3, 20), 3.5, dtype)
    return f(ones, features, normalization="after"), ones, 200.0


def filter_symmetric(f: Function, rng: Rng, dtype: Any) -> Sides:
    """<u, K v> = <K u, v>."""
    u, v, features = normals(rng, dtype, (3, 20), (3, 20), (4, 20))
    return np.vdot(u, f(v, features)), np.vdot(f(u, features), v), 4e3


def _draw(rng: Rng) -> Drawn:
    points, width = whole(rng, 1, 30), float(10 ** rng.uniform(-1, 1))
    arrays = {
        "input": array(rng, (whole(rng, 1, 4), points)),
        "features": array(rng, (whole(rng, 1, 6), points), spread(width)),
    }
    return Drawn(arrays, some(rng, normalization=str(rng.choice(NORMALIZATIONS))))


def _products(result: Result) -> float:
    """Count all points with all points; the rounding of a distance grows with the features."""
    x, features = result.x, result.arguments["features"]
    return float(x.size * x[0].size * (1 + largest(features) ** 2))


gaussian_filter = right("gaussian_filter")


def _with(kernel: Kernel) -> Function:
    """Return the filter with another kernel."""

    def forward(x: np.ndarray, features: np.ndarray, normalization: str = "none") -> np.ndarray:
        weights = normalised(kernel(features.astype(np.float64)), normalization)
        return (x @ weights.T).astype(x.dtype)

    return forward


def _twice_normalised(
    x: np.ndarray, features: np.ndarray, normalization: str = "none"
) -> np.ndarray:
    if normalization != "symmetric":
        return gaussian_filter(x, features, normalization)
    weights = gaussian(features.astype(np.float64))
    total = weights.sum(axis=1)
    return (x / total @ weights / total).astype(x.dtype)


KERNELS: dict[str, tuple[Kernel, str]] = {
    **WRONG_KERNELS,
    "without-self": (without_self, "a point's own value is left out"),
    "per-dimension": (lambda f: np.exp(-squared(f) / (2 * len(f))),
                      "the distance is averaged over the features"),
    "density": (lambda f: gaussian(f) / (2 * np.pi) ** (len(f) / 2),
                "the kernel is normalised as a probability density"),
    "first-feature": (lambda f: gaussian(f[:1]), "only the first feature counts"),
    "manhattan": (lambda f: np.exp(-np.abs(f[:, :, None] - f[:, None, :]).sum(axis=0) / 2),
                  "the distance is the sum of absolute differences"),
    "box": (lambda f: squared(f) < 1.0, "it is a box: 1 nearer than 1, else 0"),
    "cut-at-2": (lambda f: gaussian(f) * (squared(f) < 4),
                 "the kernel is cut off at 2 standard deviations"),
    "cut-at-3": (lambda f: gaussian(f) * (squared(f) < 9),
                 "the kernel is cut off at 3 standard deviations"),
    "cauchy": (lambda f: 1 / (1 + squared(f)), "the kernel is 1 / (1 + |f - g|^2)"),
    "one-sided": (lambda f: np.tril(gaussian(f)), "a point gets no message from those after it"),
}  # fmt: skip

FORWARD = {
    **{name: (_with(kernel), text) for name, (kernel, text) in KERNELS.items()},
    **wrong_normalizations("gaussian_filter", "the normalisation is ignored"),
    "always-symmetric": (renamed("gaussian_filter", none="symmetric"),
                         "it normalises symmetrically when it should not"),
    "normalised-twice": (_twice_normalised,
                         "symmetric normalisation divides by n on both sides, not by sqrt(n)"),
}  # fmt: skip

BACKWARD = {
    "dx-zero": DX_ZERO,
    "dx-unnormalised": (lambda g, dy, a, o: gaussian_filter(dy, a[1]),
                        "dx forgets the normalisation"),
    "dx-not-reversed": (lambda g, dy, a, o: gaussian_filter(dy, a[1], **o),
                        "dx filters forwards: before and after must change places"),
}  # fmt: skip


OPERATION = Operation(
    "gaussian_filter",
    ROWS,
    sample=row("sample", (3, 20), 4),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    equations=(filter_permutation, filter_constant, filter_symmetric),
    family="crf",
    linear=True,
    approximable=True,
    products=_products,
)
