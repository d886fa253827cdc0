"""Random numbers, shapes, layouts and options for fuzzing."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.case import LAYOUTS, Array, Fill, normal

Rng = np.random.Generator


def normals(rng: Rng, dtype: Any, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Return standard normal arrays of these shapes."""
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def integers(rng: Rng, dtype: Any, shape: tuple[int, ...], most: int = 9) -> np.ndarray:
    """Return whole numbers up to ``most``, of which sums are exact."""
    return rng.integers(-most, most + 1, shape).astype(dtype)


def whole(rng: Rng, low: int, high: int) -> int:
    """Return a whole number from ``low`` to ``high``, both included."""
    return int(rng.integers(low, high + 1))


def chance(rng: Rng, share: float) -> bool:
    """Return True with probability ``share``."""
    return bool(rng.random() < share)


def decimal(rng: Rng, low: float = 0.0, high: float = 1.0) -> float:
    """Return a number between ``low`` and ``high`` with two decimals."""
    return round(float(rng.uniform(low, high)), 2)


def random_pair(rng: Rng, low: int, high: int) -> int | tuple[int, int]:
    """Return a whole number or, more often, two of them."""
    if rng.random() < 0.3:
        return whole(rng, low, high)
    return whole(rng, low, high), whole(rng, low, high)


def batch(rng: Rng) -> int:
    """Return a number of images, rarely none."""
    return int(rng.choice([0, 1, 2, 3], p=[0.03, 0.27, 0.4, 0.3]))


def planes(
    rng: Rng, channels: int, low: int = 1, high: int = 11, least: int = 0
) -> tuple[int, ...]:
    """Return a shape (N, C, H, W), sometimes without N; N is at least ``least``."""
    shape = (max(least, batch(rng)), channels, whole(rng, low, high), whole(rng, low, high))
    return shape[1:] if rng.random() < 0.1 else shape


def array(rng: Rng, shape: tuple[int, ...], fill: Fill = normal) -> Array:
    """Return the recipe of an array, in a random layout now and then."""
    names = [name for name in LAYOUTS if name != "channels_last" or len(shape) > 2]
    usable = [name for name in names if name != "broadcast" or (shape and shape[0] > 0)]
    layout = "contiguous" if rng.random() < 0.6 or not shape else str(rng.choice(usable))
    return Array(shape, fill, layout)


def some(rng: Rng, **options: Any) -> dict[str, Any]:
    """Return the options, each left at its default sometimes."""
    return {name: value for name, value in options.items() if rng.random() < 0.75}


def any_shape(rng: Rng) -> tuple[int, ...]:
    """Return a shape of 1 to 4 axes."""
    return tuple(whole(rng, 1, 6) for _ in range(whole(rng, 1, 4)))
