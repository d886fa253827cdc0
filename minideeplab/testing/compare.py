"""Derived tolerances, and comparisons that name the worst entry.

A sum of K rounded terms is off by about eps * sqrt(K) of the terms' size (Higham, Accuracy and
Stability of Numerical Algorithms, section 2.8: a random walk of roundings). So the tolerance is
``SAFETY * eps * sqrt(K) * scale``: derived from the operation and the data, not tuned to a result.
What is only copied or chosen (maxima, nearest pixels, indices, padding) must be equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.testing.case import Case
from minideeplab.testing.operation import Arguments, Result, largest
from minideeplab.testing.operations import OPERATIONS

__all__ = ["Mismatch", "compare", "compare_values", "exact", "largest", "scale", "tolerance"]

SAFETY = 8.0
"""Room for another order of the sum, fused or not, and for an exp that is 2 ulps off."""


def exact(case: Case, what: str) -> bool:
    """Return whether result ``what`` of the row is copied or chosen, so that it must be equal."""
    return OPERATIONS[case.op].exact(case, what)


def reduction_length(case: Case, what: str, arguments: Arguments, expected: Arguments) -> float:
    """Return K, about how many products are summed for one entry of result ``what``."""
    return OPERATIONS[case.op].length(Result(case, what, arguments, expected))


def scale(case: Case, what: str, arguments: Arguments, expected: Arguments) -> float:
    """Return the size of the terms: that of the result, or more where larger terms cancel."""
    record, result = OPERATIONS[case.op], Result(case, what, arguments, expected)
    return max(result.size, record.terms(result, record.length(result)))


def tolerance(case: Case, what: str, arguments: Arguments, expected: Arguments) -> float:
    """Return the largest error that a correct implementation may have, 0 where none."""
    if exact(case, what):
        return 0.0
    eps = float(np.finfo(arguments["input"].dtype).eps)
    length = reduction_length(case, what, arguments, expected)
    return SAFETY * eps * math.sqrt(length) * scale(case, what, arguments, expected)


@dataclass(frozen=True)
class Mismatch:
    """One wrong result: which, in what way, where the worst entry is, and how bad it is."""

    what: str
    kind: str
    message: str
    index: tuple[int, ...] | None = None
    expected: float | None = None
    got: float | None = None
    units: float | None = None

    def __str__(self) -> str:
        return f"{self.what}: {self.message}"


def compare(what: str, got: Any, expected: np.ndarray, tol: float, dtype: Any) -> Mismatch | None:
    """Return how ``got`` differs from ``expected`` by more than ``tol``, or None.

    Shape, dtype and the places of NaN and both infinities must match; finite entries must be
    within ``tol``. A plain Python float stands for a scalar of any dtype.
    """
    if got is None:
        return Mismatch(what, "missing", "nothing was returned")
    if np.shape(got) != np.shape(expected):
        return Mismatch(what, "shape", f"shape {np.shape(got)}, expected {np.shape(expected)}")
    if type(got) is not float and np.asarray(got).dtype != dtype:
        return Mismatch(what, "dtype", f"dtype {np.asarray(got).dtype}, expected {np.dtype(dtype)}")
    return compare_values(what, np.asarray(got, np.float64), np.asarray(expected, dtype), tol)


def compare_values(what: str, got: np.ndarray, expected: np.ndarray, tol: float) -> Mismatch | None:
    """Compare entry by entry; see :func:`compare`."""
    expected = expected.astype(np.float64)
    special = ~np.isfinite(expected) | ~np.isfinite(got)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    wrong = special & ~same
    if wrong.any():
        return _worst(what, "nan", got, expected, wrong, wrong.astype(float), "NaN or infinity")
    error = np.abs(np.where(special, 0.0, got) - np.where(special, 0.0, expected))
    wrong = error > tol
    if not wrong.any():
        return None
    return _worst(what, "value", got, expected, wrong, error, f"tolerance {tol:.2g}", tol)


def _worst(
    what: str,
    kind: str,
    got: np.ndarray,
    expected: np.ndarray,
    wrong: np.ndarray,
    error: np.ndarray,
    reason: str,
    tol: float = 0.0,
) -> Mismatch:
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(error)), error.shape))
    units = float(error[index]) / tol if tol else None
    far = f", error {units:.3g} x the tolerance" if units else ""
    message = (
        f"{int(wrong.sum())} of {wrong.size} entries differ ({reason}); worst at {index}: "
        f"expected {expected[index]:.9g}, got {got[index]:.9g}{far}"
    )
    return Mismatch(what, kind, message, index, float(expected[index]), float(got[index]), units)
