"""Linear and affine maps, to turn into matrices in task 5.3."""

from __future__ import annotations

import numpy as np


def differences(x: np.ndarray) -> np.ndarray:
    """Each value minus the one before: (N - 1,)."""
    return x[1:] - x[:-1]


def every_third(x: np.ndarray) -> np.ndarray:
    """Values 0, 3, 6, ...: (ceil(N / 3),)."""
    return x[::3].copy()


def running_sums_and_bias(x: np.ndarray) -> np.ndarray:
    """Sums of the first 1, 2, ... values, plus 10, 20, ...: (N,)."""
    return np.cumsum(x) + 10.0 * np.arange(1, len(x) + 1)


def half_the_rows(x: np.ndarray) -> np.ndarray:
    """Means of rows 0 and 1, 2 and 3, ... of (H, W): (H / 2, W)."""
    return (x[::2] + x[1::2]) / 2


def turned_and_bias(x: np.ndarray) -> np.ndarray:
    """(H, W) turned by a quarter, its rows times 1, 2, ..., less 5: (W, H)."""
    turned = np.rot90(x)
    return turned * np.arange(1.0, len(turned) + 1)[:, None] - 5


def twice(x: np.ndarray) -> np.ndarray:
    """Each value two times: (2 N,)."""
    return np.repeat(x, 2)


def mean(x: np.ndarray) -> np.ndarray:
    """The mean, as an array: (1,)."""
    return x.mean(keepdims=True)
