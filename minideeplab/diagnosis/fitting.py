"""The number that makes a guess fit: by which factor was the image scaled, which eps was used?"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from scipy.optimize import brentq

GRID = np.concatenate([-np.logspace(1, -1, 5), [0.0], np.logspace(-7, 4, 45)])
"""Where the search starts; numbers in between are found if the result changes steadily there."""


def nice(number: float) -> float:
    """Return the short number, its reciprocal or its square root that ``number`` stands for."""
    for digits in range(1, 7):
        for there, back in (
            (lambda c: c, lambda c: c),
            (lambda c: 1 / c, lambda c: 1 / c),
            (lambda c: c * c, np.sqrt),
            (lambda c: 1 / (c * c), lambda c: 1 / np.sqrt(c)),
        ):
            if not number:
                continue
            short = float(f"{there(number):.{digits}g}")
            near = float(back(abs(short))) * np.sign(number) if short else 0.0
            if abs(near - number) <= 1e-8 * abs(number):
                return near
    return number


def times(number: float) -> str:
    """Return "times 1.5" in words, or "divided by 255" where that is shorter."""
    inverse = 1 / number if number else 0.0
    if abs(inverse) > 1 and inverse == round(inverse):
        return f"divided by {inverse:.6g}"
    return f"times {number:.6g}"


def solve(
    results: Callable[[float], np.ndarray | None], got: np.ndarray, grid: Iterable[float] = GRID
) -> float | None:
    """Return c with ``results(c) == got``, or None: bracketed on the grid, then by Brent's method.

    One entry is followed, the one that changes most; the caller must check the others.
    """
    points, values = [], []
    for point in sorted(grid):
        with np.errstate(all="ignore"):
            value = results(float(point))
        if value is not None and np.shape(value) == got.shape and np.all(np.isfinite(value)):
            points.append(float(point))
            values.append(np.asarray(value, np.float64))
    if len(points) < 2:
        return None
    errors = [float(np.abs(value - got).max(initial=0.0)) for value in values]
    best = len(errors) - 1 - int(np.argmin(errors[::-1]))  # of c and -c, c
    if errors[best] == 0:
        return points[best]
    for low, high in ((best - 1, best), (best, best + 1)):
        if 0 <= low and high < len(points):
            entry = np.unravel_index(np.argmax(np.abs(values[high] - values[low])), got.shape)
            ends = [values[low][entry] - got[entry], values[high][entry] - got[entry]]
            if ends[0] * ends[1] < 0:
                root = _root(results, got, entry, points[low], points[high])
                return None if root is None else nice(root)
    return None


def _root(
    results: Callable[[float], np.ndarray | None],
    got: np.ndarray,
    entry: tuple[np.intp, ...],
    low: float,
    high: float,
) -> float | None:
    def off(c: float) -> float:
        value = results(float(c))
        return np.inf if value is None else float(value[entry] - got[entry])

    with np.errstate(all="ignore"):
        root, found = brentq(off, low, high, xtol=1e-18, rtol=1e-15, full_output=True, disp=False)
    return float(root) if found.converged and np.isfinite(off(root)) else None
