"""Rows for gaussian_filter and dense_crf, which `minideeplab.testing.crf_ops` defines."""

from __future__ import annotations

from typing import Any

from minideeplab.testing.case import Array, Case, Fill, constant, normal, spread


def _filter(
    name: str,
    values: tuple[int, int],
    dimensions: int,
    *,
    fill: Fill = normal,
    layout: str = "contiguous",
    tags: tuple[str, ...] = (),
    note: str = "",
    **options: Any,
) -> Case:
    arrays = {
        "input": Array(values, normal, layout),
        "features": Array((dimensions, values[1]), fill, layout),
    }
    return Case("gaussian_filter", name, arrays, options, ("input",), tags=frozenset(tags),
                note=note)  # fmt: skip


GAUSSIAN_FILTER = [
    _filter("plane", (3, 40), 2),
    _filter("bilateral", (3, 40), 5),
    _filter("line", (2, 30), 1),
    _filter("many-features", (2, 30), 9),
    _filter("one-channel", (1, 40), 3),
    _filter("one-point", (3, 1), 2, tags=("edge",), note="a point listens to itself"),
    _filter("two-points", (3, 2), 2, tags=("edge",)),
    _filter("same-place", (3, 20), 2, fill=constant(1.5), tags=("tie",)),
    _filter("near", (3, 40), 2, fill=spread(0.05), note="everybody hears everybody"),
    _filter("far", (3, 40), 2, fill=spread(50.0), note="hardly anybody hears anybody"),
    _filter("far-from-origin", (3, 40), 2, fill=spread(1.0, 50.0),
            note="|f|^2 + |g|^2 - 2 f g loses digits here"),
    _filter("before", (3, 40), 2, normalization="before"),
    _filter("after", (3, 40), 2, normalization="after"),
    _filter("symmetric", (3, 40), 2, normalization="symmetric"),
    _filter("symmetric-near", (3, 40), 5, fill=spread(0.3), normalization="symmetric"),
    _filter("strided-input", (3, 40), 2, layout="strided", tags=("strided",)),
    _filter("reversed-input", (3, 40), 3, layout="reversed", tags=("strided",)),
    _filter("transposed-input", (3, 40), 3, layout="transposed", tags=("strided",)),
]  # fmt: skip


COLOURS = spread(3.0, 100.0)


def _crf(
    name: str,
    unary: tuple[int, int, int],
    *,
    fill: Fill = normal,
    image: Fill = COLOURS,
    layout: str = "contiguous",
    tags: tuple[str, ...] = (),
    note: str = "",
    **options: Any,
) -> Case:
    arrays = {
        "input": Array(unary, fill, layout),
        "image": Array((*unary[1:], 3), image, layout),
    }
    return Case("dense_crf", name, arrays, options, ("input",), tags=frozenset(tags), note=note)


SHAPE = (3, 5, 7)
ONLY_GAUSSIAN = {"bilateral_compat": 0.0}
ONLY_BILATERAL = {"gaussian_compat": 0.0}

DENSE_CRF = [
    _crf("both", SHAPE),
    _crf("gaussian", SHAPE, gaussian_sxy=1.5, **ONLY_GAUSSIAN),
    _crf("bilateral", SHAPE, bilateral_sxy=2.0, **ONLY_BILATERAL),
    _crf("no-iteration", SHAPE, iterations=0, note="softmax of the negative energies"),
    _crf("one-iteration", SHAPE, iterations=1),
    _crf("ten-iterations", SHAPE, iterations=10, gaussian_compat=1.0, bilateral_compat=1.0),
    _crf("no-terms", SHAPE, **ONLY_GAUSSIAN, **ONLY_BILATERAL),
    _crf("repulsion", SHAPE, gaussian_compat=-1.0, iterations=2, **ONLY_GAUSSIAN),
    _crf("widths", SHAPE, bilateral_sxy=4.0, bilateral_srgb=6.0, bilateral_compat=5.0),
    _crf("unnormalised", SHAPE, normalization="none", gaussian_compat=0.1, bilateral_compat=0.1),
    _crf("before", SHAPE, normalization="before"),
    _crf("after", SHAPE, normalization="after"),
    _crf("two-labels", (2, 6, 4)),
    _crf("one-row", (3, 1, 9), tags=("edge",)),
    _crf("one-pixel", (3, 1, 1), tags=("edge",)),
    _crf("flat-image", SHAPE, image=constant(128.0), tags=("tie",)),
    _crf("equal-energies", SHAPE, fill=constant(1.0), tags=("tie",)),
    _crf("large-energies", SHAPE, fill=spread(1e3), tags=("edge",),
         note="exp of the energies overflows without subtracting the smallest"),
    _crf("strided-input", SHAPE, layout="strided", tags=("strided",)),
    _crf("reversed-input", SHAPE, layout="reversed", tags=("strided",)),
]  # fmt: skip
