"""What is done to a convolution's results before they are written, while they are in registers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=256)
def _filled(count: int, dtype: np.dtype, value: int) -> np.ndarray:
    return np.full(count, value, dtype)


@dataclass(frozen=True)
class Finish:
    """y * scale + shift per channel, then max(y, 0) if ``rectify``; None is 1 and 0."""

    scale: np.ndarray | None = None  # (K,)
    shift: np.ndarray | None = None  # (K,)
    rectify: bool = False

    def vectors(
        self, filters: int, dtype: np.dtype, whole: int = 0
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return scale (1, K), shift (1, K) and the least result, for compiled kernels.

        Zeros are put behind them up to ``whole``.
        """
        scale = _filled(filters, dtype, 1) if self.scale is None else self.scale
        shift = _filled(filters, dtype, 0) if self.shift is None else self.shift
        least = dtype.type(0 if self.rectify else -np.inf)
        if whole > filters:
            scale, shift = (np.pad(a, (0, whole - filters)) for a in (scale, shift))
        rows = (np.ascontiguousarray(a).reshape(1, -1) for a in (scale, shift))
        return (*rows, least)

    def apply(self, part: np.ndarray, first: int) -> None:
        """Finish results (..., count) of the filters from ``first`` on, in place."""
        filters = slice(first, first + part.shape[-1])
        if self.scale is not None:
            part *= self.scale[filters]
        if self.shift is not None:
            part += self.shift[filters]
        if self.rectify:
            np.maximum(part, 0, out=part)
