"""dense_crf: mean field in the fully connected CRF."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.case import Array, Case, Fill, constant, normal, spread
from minideeplab.testing.mutant import Function
from minideeplab.testing.operation import Drawn, Operation, Result, Rng, Sides, largest
from minideeplab.testing.operations.dense_crf_mutants import BACKWARD, FORWARD
from minideeplab.testing.operations.kernels import NORMALIZATIONS
from minideeplab.testing.random_arrays import array, chance, decimal, integers, normals, some, whole
from minideeplab.testing.rows import Rows, make_row

COLOURS = spread(3.0, 100.0)


def _row(
    name: str,
    unary: tuple[int, int, int],
    *,
    fill: Fill = normal,
    image: Fill = COLOURS,
    layout: str = "contiguous",
    **details: Any,
) -> Case:
    arrays = {"input": Array(unary, fill, layout), "image": Array((*unary[1:], 3), image, layout)}
    return make_row("dense_crf", name, arrays, **details)


def _grey(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image whose channels are equal."""
    return np.repeat(COLOURS(rng, (*shape[:2], 1)), 3, axis=2)


row = Rows(_row)
SHAPE = (3, 5, 7)
ONLY_GAUSSIAN = {"bilateral_compat": 0.0}
ONLY_BILATERAL = {"gaussian_compat": 0.0}

ROWS = [
    row("both", SHAPE),
    row("gaussian", SHAPE, gaussian_sxy=1.5, **ONLY_GAUSSIAN),
    row("bilateral", SHAPE, bilateral_sxy=2.0, **ONLY_BILATERAL),
    row("no-iteration", SHAPE, iterations=0, note="softmax of the negative energies"),
    row("one-iteration", SHAPE, iterations=1),
    row("ten-iterations", SHAPE, iterations=10, gaussian_compat=1.0, bilateral_compat=1.0),
    row("no-terms", SHAPE, **ONLY_GAUSSIAN, **ONLY_BILATERAL),
    row("repulsion", SHAPE, gaussian_compat=-1.0, iterations=2, **ONLY_GAUSSIAN),
    row("widths", SHAPE, bilateral_sxy=4.0, bilateral_srgb=6.0, bilateral_compat=5.0),
    row("unnormalised", SHAPE, normalization="none", gaussian_compat=0.1, bilateral_compat=0.1),
    row("before", SHAPE, normalization="before"),
    row("after", SHAPE, normalization="after"),
    row("two-labels", (2, 6, 4)),
    row.edge("one-row", (3, 1, 9)),
    row.edge("one-pixel", (3, 1, 1)),
    row("flat-image", SHAPE, image=constant(128.0), tags="tie"),
    row("equal-energies", SHAPE, fill=constant(1.0), tags="tie"),
    row.edge("large-energies", SHAPE, fill=spread(1e3),
             note="exp of the energies overflows without subtracting the smallest"),
    row.laid("strided", SHAPE),
    row.laid("reversed", SHAPE),
    row.large("labels", (40, 3, 4)),
    row.large("iterations", SHAPE, iterations=25, gaussian_compat=1.0, bilateral_compat=1.0),
    row.large("image", (2, 13, 17)),
    row("grey-image", SHAPE, image=_grey, note="the three channels are equal"),
]  # fmt: skip


def crf_mirror(f: Function, rng: Rng, dtype: Any) -> Sides:
    """A mirrored image gives mirrored labels: pixels may be permuted."""
    unary, image = normals(rng, dtype, (3, 4, 6), (4, 6, 3))
    mirrored = f(unary[:, ::-1, ::-1], image[::-1, ::-1])
    return mirrored, f(unary, image)[:, ::-1, ::-1], 4e3


def crf_labels(f: Function, rng: Rng, dtype: Any) -> Sides:
    """The order of the labels does not matter."""
    unary, image = normals(rng, dtype, (3, 4, 6), (4, 6, 3))
    return f(unary[[2, 0, 1]], image), f(unary, image)[[2, 0, 1]], 4e3


def crf_sums_to_one(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Every pixel's probabilities sum to one."""
    unary, image = normals(rng, dtype, (3, 4, 6), (4, 6, 3))
    total = f(unary, image).sum(axis=0)
    return total, np.ones_like(total), 9.0


def crf_energy_offset(f: Function, rng: Rng, dtype: Any) -> Sides:
    """A constant added to all energies of a pixel changes nothing."""
    unary = integers(rng, dtype, (3, 4, 6), 4)
    (image,) = normals(rng, dtype, (4, 6, 3))
    return f(unary + 64, image), f(unary, image), 64.0**2


def _draw(rng: Rng) -> Drawn:
    shape = (whole(rng, 1, 5), whole(rng, 1, 6), whole(rng, 1, 6))
    arrays = {
        "input": array(rng, shape),
        "image": array(rng, (*shape[1:], 3), spread(float(rng.uniform(0, 60)), 120.0)),
    }
    options = some(
        rng,
        iterations=whole(rng, 0, 6),
        gaussian_sxy=decimal(rng, 0.5, 5),
        bilateral_sxy=decimal(rng, 1, 70),
        bilateral_srgb=decimal(rng, 1, 20),
        normalization=str(rng.choice(NORMALIZATIONS[1:])),
    )
    near, alike = (0.0 if chance(rng, 0.2) else decimal(rng, -1, 3) for _ in range(2))
    return Drawn(arrays, options | {"gaussian_compat": near, "bilateral_compat": alike})


def _terms(result: Result, length: float) -> float:
    """Return the size of the energies up to 1, or of a gradient in all iterations.

    It is a product of Jacobians, each at a Q that was rounded.
    """
    if result.is_gradient:
        iterations = result.case.options.get("iterations", 5)
        return (1 + iterations) * max(result.size, largest(result.cotangent))
    return min(largest(result.x), 1.0)


OPERATION = Operation(
    "dense_crf",
    ROWS,
    sample=row("sample", (3, 4, 6), image=normal, gaussian_sxy=1.5),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    equations=(crf_mirror, crf_labels, crf_sums_to_one, crf_energy_offset),
    family="crf",
    scaled_at_once=(
        ("gaussian_sxy", "bilateral_sxy", "bilateral_srgb"),
        ("gaussian_sxy", "bilateral_sxy"),
        ("bilateral_sxy", "bilateral_srgb"),
        ("gaussian_compat", "bilateral_compat"),
    ),
    products=lambda r: float(r.x.size * r.x[0].size * r.x.size),  # all pixels with all pixels
    terms=_terms,
)
