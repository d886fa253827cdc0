"""The properties of gaussian_filter and dense_crf; `properties` says what an equation returns."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.function_under_test import Subject
from minideeplab.testing.properties import Sides, normals

Rng = np.random.Generator


def filter_permutation(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """The order of the points does not matter."""
    values, features = normals(rng, dtype, (3, 20), (4, 20))
    order = rng.permutation(20)
    return f(values[:, order], features[:, order]), f(values, features)[:, order], 200.0


def filter_constant(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """A filter that is normalised afterwards preserves constants."""
    (features,) = normals(rng, dtype, (4, 20))
    ones = np.full((3, 20), 3.5, dtype)
    return f(ones, features, normalization="after"), ones, 200.0


def filter_symmetric(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """<u, K v> = <K u, v>."""
    u, v, features = normals(rng, dtype, (3, 20), (3, 20), (4, 20))
    return np.vdot(u, f(v, features)), np.vdot(f(u, features), v), 4e3


def crf_mirror(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """A mirrored picture gives mirrored labels: pixels may be permuted."""
    unary, image = normals(rng, dtype, (3, 4, 6), (4, 6, 3))
    mirrored = f(unary[:, ::-1, ::-1], image[::-1, ::-1])
    return mirrored, f(unary, image)[:, ::-1, ::-1], 4e3


def crf_labels(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """The order of the labels does not matter."""
    unary, image = normals(rng, dtype, (3, 4, 6), (4, 6, 3))
    return f(unary[[2, 0, 1]], image), f(unary, image)[[2, 0, 1]], 4e3


def crf_sums_to_one(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """Every pixel's probabilities sum to one."""
    unary, image = normals(rng, dtype, (3, 4, 6), (4, 6, 3))
    total = f(unary, image).sum(axis=0)
    return total, np.ones_like(total), 9.0


def crf_energy_offset(f: Subject, rng: Rng, dtype: Any) -> Sides:
    """A constant added to all energies of a pixel changes nothing."""
    unary = rng.integers(-4, 5, (3, 4, 6)).astype(dtype)
    (image,) = normals(rng, dtype, (4, 6, 3))
    return f(unary + 64, image), f(unary, image), 64.0**2
