"""The epilogue of a convolution: scale, shift and ReLU before the results are written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minideeplab.backends.numba_cpu.runtime.jit import inner
from minideeplab.backends.numba_cpu.simd import load_channels, maximum, store


@lru_cache(maxsize=256)
def _filled(count: int, dtype: np.dtype, value: int) -> np.ndarray:
    return np.full(count, value, dtype)


class EpilogueVectors(NamedTuple):
    """An epilogue as compiled kernels take it."""

    scale: np.ndarray  # (1, K)
    shift: np.ndarray  # (1, K)
    minimum: float  # 0, or -inf without ReLU


@dataclass(frozen=True)
class Epilogue:
    """y * scale + shift per channel, then max(y, 0) if ``rectify``; None is 1 and 0."""

    scale: np.ndarray | None = None  # (K,)
    shift: np.ndarray | None = None  # (K,)
    rectify: bool = False

    def vectors(self, filters: int, dtype: np.dtype, padded: int = 0) -> EpilogueVectors:
        """Return the epilogue for compiled kernels, with zeros up to ``padded`` filters."""
        scale = _filled(filters, dtype, 1) if self.scale is None else self.scale
        shift = _filled(filters, dtype, 0) if self.shift is None else self.shift
        if padded > filters:
            scale, shift = (np.pad(a, (0, padded - filters)) for a in (scale, shift))
        rows = (np.ascontiguousarray(a).reshape(1, -1) for a in (scale, shift))
        return EpilogueVectors(*rows, dtype.type(0 if self.rectify else -np.inf))

    def apply(self, part: np.ndarray, first: int) -> None:
        """Apply it in place to results (..., count) of the filters from ``first`` on."""
        filters = slice(first, first + part.shape[-1])
        if self.scale is not None:
            part *= self.scale[filters]
        if self.shift is not None:
            part += self.shift[filters]
        if self.rectify:
            np.maximum(part, 0, out=part)


@inner
def apply_to_rows(y, first, step, count, lane, epilogue):
    """Apply it to sixteen filters of ``count`` rows of y, while they are in cache."""
    scale, shift = load_channels(epilogue.scale, 0, lane), load_channels(epilogue.shift, 0, lane)
    minimum = load_channels(epilogue.scale, -1, lane) + epilogue.minimum  # zeros + minimum
    for r in range(count):
        value = load_channels(y, first + r * step, lane) * scale + shift
        store(y, first + r * step, lane, maximum(minimum, value))  # in this order a NaN stays
