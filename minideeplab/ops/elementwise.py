"""Sums of whole arrays: gradients that meet, and the optimizer's step."""

from __future__ import annotations

import numpy as np


def add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a + b, for arrays of one shape and dtype."""
    return a + b


def sgd_update(
    w: np.ndarray, g: np.ndarray, velocity: np.ndarray, momentum: float, lr: float, decay: float
) -> None:
    """Change w and velocity in place: v <- momentum v + lr (g + decay w);    w <- w - v."""
    velocity *= momentum
    velocity += lr * (g + decay * w if decay else g)
    w -= velocity
