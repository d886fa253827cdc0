"""The exponential of SIMD vectors, by a polynomial."""

from __future__ import annotations

from math import factorial

import numpy as np
from numba import njit
from numba.core import types
from numba.core.extending import overload

from minideeplab.backends.numba_cpu.simd import maximum, power_of_two, round_lanes


def exponential(vector: np.ndarray) -> np.ndarray:
    """Return exp of numbers <= 0, to about a unit in the last place; 0 where it would underflow."""
    return np.exp(vector)


LOG2_E = 1 / np.log(2)
LN2_HIGH, LN2_LOW = 0.693359375, -2.121944400546905827679e-4  # ln 2; whole n * LN2_HIGH is exact


def _series(vector, coefficients, lowest):
    # 2^n exp(r) with |r| <= ln(2) / 2. Below ``lowest``, n is the exponent whose bits mean zero.
    x = maximum(vector, lowest)
    n = round_lanes(x * LOG2_E)
    r = x - n * LN2_HIGH - n * LN2_LOW
    y = r * coefficients[0] + coefficients[1]
    for k in range(2, len(coefficients)):
        y = y * r + coefficients[k]
    return y * power_of_two(n)


_series = njit(_series, nogil=True)
SINGLE = tuple(1 / factorial(k) for k in range(7, -1, -1))
DOUBLE = tuple(1 / factorial(k) for k in range(13, -1, -1))


@overload(exponential)
def _exponential(vector):
    if vector.dtype == types.float32:
        return lambda vector: _series(vector, SINGLE, -88.0)
    return lambda vector: _series(vector, DOUBLE, -709.0)
