"""Linear maps of signals (N,), to turn into matrices in task 5.3."""

from __future__ import annotations

import numpy as np


def differences(x: np.ndarray) -> np.ndarray:
    """Each value minus the one before: (N - 1,)."""
    return x[1:] - x[:-1]


def every_third(x: np.ndarray) -> np.ndarray:
    """Values 0, 3, 6, ...: (ceil(N / 3),)."""
    return x[::3].copy()


def running_sums(x: np.ndarray) -> np.ndarray:
    """Sums of the first 1, 2, ... values: (N,)."""
    return np.cumsum(x)


def twice(x: np.ndarray) -> np.ndarray:
    """Each value two times: (2 N,)."""
    return np.repeat(x, 2)


def mean(x: np.ndarray) -> np.ndarray:
    """The mean, as an array: (1,)."""
    return x.mean(keepdims=True)
