"""How wrong numbers are related to the right ones: a factor, a sign, a flip, a place, a bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minideeplab.testing.compare import largest

Pairs = list[tuple[np.ndarray, np.ndarray, float]]
Relation = Callable[[np.ndarray, np.ndarray, float], bool | None]
"""Whether wrong and right result are so related within a tolerance; None if it cannot be seen."""


def related(pairs: Pairs) -> str:
    """Return the relation that holds in every pair, in words, "" if none is seen."""
    for text, relation in _RELATIONS:
        verdicts = [relation(*pair) for pair in pairs]
        if True in verdicts and False not in verdicts:
            return _cut_off(pairs) or _emptied(pairs) or text
    factor = common_factor(pairs)
    if factor is not None:
        return f"every wrong result is {factor:.6g} times the right one"
    return _cut_off(pairs) or _emptied(pairs)


def _cut_off(pairs: Pairs) -> str:
    """Say that results beyond a bound are replaced by it: a ReLU too many, a clipped gradient."""
    values = np.concatenate([got.ravel() for got, _, _ in pairs])
    values = values[np.isfinite(values)]
    if not values.size:
        return ""
    low, high = float(values.min()), float(values.max())
    if np.sum((values == low) | (values == high)) < 3 or low == high:  # chance, or all the same
        return ""
    for text, cut in (
        (f"results below {low:.6g} are replaced by it", lambda y: np.maximum(y, low)),
        (f"results above {high:.6g} are replaced by it", lambda y: np.minimum(y, high)),
        (f"results are cut off below {low:.6g} and above {high:.6g}",
         lambda y: np.clip(y, low, high)),
    ):  # fmt: skip
        if all(_near(got, cut(expected), tol) for got, expected, tol in pairs):
            return text
    return ""


def _emptied(pairs: Pairs) -> str:
    """Say that results nearer to zero than a bound become zero."""
    bound = max(float(np.abs(e[np.abs(g - e) > tol]).max(initial=0.0)) for g, e, tol in pairs)
    kept = [np.where(np.abs(expected) <= bound, 0.0, expected) for _, expected, _ in pairs]
    if all(
        _near(got, cut, tol) and got.any() for (got, _, tol), cut in zip(pairs, kept, strict=True)
    ):
        return f"results up to {bound:.6g} become zero"
    return ""


def rising(pairs: Pairs) -> str:
    """Say that larger right results give larger wrong ones, in all rows, as chance would not."""
    for got, expected, tol in pairs:
        order = np.argsort(expected, axis=None)
        if np.any(np.diff(got.ravel()[order]) < -tol):
            return ""
    if max(got.size for got, _, _ in pairs) < 10:
        return ""
    return "the right results' order is kept: they seem to be squashed or stretched afterwards"


def _near(got: np.ndarray, expected: np.ndarray, tol: float) -> bool:
    finite = np.isfinite(expected)
    return bool(np.all(np.abs(got[finite] - expected[finite]) <= tol))


def _precise_to(share: float) -> Relation:
    """Return a relation: the first digits are right."""

    def relation(got: np.ndarray, expected: np.ndarray, tol: float) -> bool:
        size = largest(expected)
        return _near(got, expected, max(share * size, tol))

    return relation


def _flipped(axis: int) -> Relation:
    def relation(got: np.ndarray, expected: np.ndarray, tol: float) -> bool | None:
        return _near(np.flip(got, axis), expected, tol) if got.ndim > 1 else None

    return relation


def _shifted(axis: int, step: int) -> Relation:
    """Return a relation: equal after a shift by one, the border apart."""

    def relation(got: np.ndarray, expected: np.ndarray, tol: float) -> bool | None:
        if got.ndim < 2 or got.shape[axis] < 3:
            return None
        moved = np.roll(got, step, axis).swapaxes(axis, -1)[..., 1:-1]
        return _near(moved, expected.swapaxes(axis, -1)[..., 1:-1], tol)

    return relation


def _reordered(axis: int) -> Relation:
    """Return a relation: the same items along ``axis``, in another order."""

    def relation(got: np.ndarray, expected: np.ndarray, tol: float) -> bool | None:
        if got.ndim < 2 or got.ndim < abs(axis) or got.shape[axis] < 2:
            return None
        theirs = np.moveaxis(got, axis, 0).reshape(got.shape[axis], -1)
        ours = np.moveaxis(expected, axis, 0).reshape(got.shape[axis], -1)
        places = [int(np.argmin(np.abs(ours - item).max(axis=1))) for item in theirs]
        return len(set(places)) == len(places) and _near(theirs, ours[places], tol)

    return relation


def _same_entries(got: np.ndarray, expected: np.ndarray, tol: float) -> bool | None:
    """Say whether all of the right numbers are there, each somewhere."""
    if got.size < 4:
        return None
    return _near(np.sort(got, axis=None), np.sort(expected, axis=None), tol)


def _right_within(*inside: slice, least: int = 3) -> Relation:
    """Return a relation: equal in the part ``inside`` of the last axes, wrong outside only."""

    def relation(got: np.ndarray, expected: np.ndarray, tol: float) -> bool | None:
        if got.ndim < len(inside) or min(got.shape[-len(inside) :]) < least:
            return None
        part = (..., *inside)
        return _near(got[part], expected[part], tol)

    return relation


_ALL, _INNER = slice(None), slice(1, -1)

_RELATIONS: list[tuple[str, Relation]] = [
    ("every wrong result is zero", lambda got, expected, tol: not np.any(got)),
    (
        "every wrong result has the opposite sign",
        lambda got, expected, tol: _near(-got, expected, tol),
    ),
    ("the results are right to float32 precision only", _precise_to(1e-5)),
    ("the results are right to 2 or 3 digits only, as float16 or bfloat16 give", _precise_to(2e-2)),
    ("the results run backwards along the width", _flipped(-1)),
    ("the results run backwards along the height", _flipped(-2)),
    ("the results are shifted right by one pixel", _shifted(-1, -1)),
    ("the results are shifted left by one pixel", _shifted(-1, 1)),
    ("the results are shifted down by one pixel", _shifted(-2, -1)),
    ("the results are shifted up by one pixel", _shifted(-2, 1)),
    ("the results are right, with the channels in another order", _reordered(-3)),
    ("the results are right, with the rows in another order", _reordered(-2)),
    ("the results are right, with the columns in another order", _reordered(-1)),
    ("the results are right, with the images in another order", _reordered(0)),
    ("the results are the right numbers, in another order", _same_entries),
    ("only the last column is wrong", _right_within(slice(None, -1))),
    ("only the last row is wrong", _right_within(slice(None, -1), _ALL)),
    ("only the first column is wrong", _right_within(slice(1, None))),
    ("only the first row is wrong", _right_within(slice(1, None), _ALL)),
    ("only the outermost rows and columns are wrong", _right_within(_INNER, _INNER)),
    ("only images after the first are wrong", _right_within(slice(0, 1), *[_ALL] * 3, least=1)),
    ("only channels after the first are wrong", _right_within(slice(0, 1), _ALL, _ALL, least=1)),
]


def common_factor(pairs: Pairs) -> float | None:
    """Return the one number by which all wrong results are too large, or None."""
    parts = []
    for got, expected, _ in pairs:
        both = np.isfinite(got) & np.isfinite(expected)
        seen = both & (np.abs(expected) > 1e-3 * largest(expected))
        parts.append(got[seen] / expected[seen])
    ratios = np.concatenate(parts)
    middle = float(np.median(ratios)) if ratios.size else np.nan
    constant = ratios.size > 1 and np.allclose(ratios, middle, rtol=1e-3)
    return middle if constant and abs(middle - 1) > 1e-2 else None
