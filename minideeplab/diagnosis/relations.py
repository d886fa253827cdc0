"""How wrong numbers relate to the right ones: a table of factors, signs, flips, shifts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minideeplab.diagnosis.evidence import Pair, largest

Relation = Callable[[np.ndarray, np.ndarray, float], bool | None]
"""Whether wrong and right result are so related within a tolerance; None if it cannot be seen."""


def related(pairs: Sequence[Pair], passed: Sequence[Pair] = ()) -> str:
    """Return the relation that holds in every pair, in words, "" if none is seen.

    If a result that is right refutes it as a rule for all results, or there is one pair only,
    it is said of the wrong results.
    """
    if not pairs or any(got.shape != right.shape for got, right, _ in pairs):
        return ""
    bound = cut_off(pairs) or emptied(pairs)
    factor = common_factor(pairs)
    table = RELATIONS + [
        (f"every result is {factor or 0:.6g} times the right one",
         lambda got, right, tol: factor is not None and _near(got, factor * right, tol)),
    ]  # fmt: skip
    for text, relation in table:
        verdicts = [relation(*pair) for pair in pairs]
        if True in verdicts and False not in verdicts:
            rule = len(pairs) > 1 and all(relation(*pair) is not False for pair in passed)
            return bound or (text if rule else f"where it is wrong, {text}")
    return bound or _added(pairs, passed)


def place(pairs: Sequence[Pair]) -> str:
    """Return the only part of the results that is wrong, "" if it is not always one part."""
    if any(got.shape != right.shape for got, right, _ in pairs):
        return ""
    for text, relation in PLACES:
        verdicts = [relation(*pair) for pair in pairs]
        if True in verdicts and False not in verdicts:
            return text
    return ""


def _near(got: np.ndarray, right: np.ndarray, tol: float) -> bool:
    finite = np.isfinite(right)
    return got.shape == right.shape and bool(np.all(np.abs(got[finite] - right[finite]) <= tol))


def cut_off(pairs: Sequence[Pair]) -> str:
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
        if all(_near(got, cut(right), tol) for got, right, tol in pairs):
            return text
    return ""


def emptied(pairs: Sequence[Pair]) -> str:
    """Say that results nearer to zero than a bound become zero."""
    bound = max(float(np.abs(e[np.abs(g - e) > tol]).max(initial=0.0)) for g, e, tol in pairs)
    zeroed = sum(int(np.sum((g == 0) & (e != 0))) for g, e, _ in pairs)
    if zeroed < 3 or not any(got.any() for got, _, _ in pairs):  # chance, or all zero
        return ""
    for text, keeps in (
        (f"results up to {bound:.6g} in magnitude become zero", lambda e: np.abs(e) > bound),
        (f"results up to {bound:.6g} become zero", lambda e: e > bound),
    ):
        if all(_near(got, np.where(keeps(e), e, 0.0), t) for got, e, t in pairs):
            return text
    return ""


def _added(pairs: Sequence[Pair], passed: Sequence[Pair]) -> str:
    """Say that one number is added to all results, or in each case another one."""
    if max(got.size for got, _, _ in pairs) < 2:
        return ""
    numbers = [float(np.mean(got - right)) if got.size else 0.0 for got, right, _ in pairs]
    if not all(_near(g - c, e, tol) for (g, e, tol), c in zip(pairs, numbers, strict=True)):
        return ""
    if len(pairs) > 1 and not passed and np.allclose(numbers, numbers[0], rtol=1e-6):
        return f"the result is off by a constant that is added, {numbers[0]:.6g}"
    return "in each wrong case the result is off by a constant that is added"


def rising(pairs: Sequence[Pair]) -> str:
    """Say that larger right results give larger wrong ones, in all rows, as chance would not."""
    for got, right, tol in pairs:
        if np.abs(got - right).max(initial=0.0) < 0.1 * np.ptp(right):  # near, so in order
            return ""
        order = np.argsort(right, axis=None)
        if np.any(np.diff(got.ravel()[order]) < -tol):
            return ""
    if max((got.size for got, _, _ in pairs), default=0) < 10:
        return ""
    return "the right results' order is kept: they seem to be squashed or stretched afterwards"


def _reduced(kind: str) -> Relation:
    """Return a relation: all results are numbers of a shorter format, off by its rounding.

    An error of that size alone says little: 1e-3 that is added is no float16.
    """
    eps = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[kind]

    def relation(got: np.ndarray, right: np.ndarray, tol: float) -> bool | None:
        seen = np.isfinite(got) & np.isfinite(right) & (got != 0)
        got, right = got[seen], right[seen]
        if not seen.any() or np.mean(_rounded(right, kind) == right) > 0.5:
            return None
        error = np.abs(got - right)
        rounding = 4 * eps * np.abs(right)  # relative to each value; sums may cancel in some
        cancelled = min(8 * eps * largest(right), tol * eps / 2.0**-52)
        near = np.all(error <= np.maximum(rounding, cancelled)) and np.mean(error <= rounding) > 0.8
        return bool(near and np.all(_rounded(got, kind) == got))

    return relation


def _rounded(values: np.ndarray, kind: str) -> np.ndarray:
    """Return values rounded to a shorter format; to bfloat16 by cutting or by rounding."""
    if kind != "bfloat16":
        with np.errstate(over="ignore"):
            return values.astype(kind).astype(np.float64)
    bits = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return bits.view(np.float32).astype(np.float64)


def _moved(change: Callable[[np.ndarray], np.ndarray], axes: int = 1) -> Relation:
    """Return a relation: ``change`` of the wrong result is the right one."""

    def relation(got: np.ndarray, right: np.ndarray, tol: float) -> bool | None:
        if got.ndim < axes or got.size < 2:
            return None
        return _near(change(got), right, tol)

    return relation


def _shifted(axis: int, step: int) -> Relation:
    """Return a relation: equal after a shift by one, the border apart."""

    def relation(got: np.ndarray, right: np.ndarray, tol: float) -> bool | None:
        if got.ndim < -axis or got.shape[axis] < 4:
            return None
        moved = np.roll(got, -step, axis).swapaxes(axis, -1)[..., 1:-1]
        return _near(moved, right.swapaxes(axis, -1)[..., 1:-1], tol)

    return relation


def _reordered(axis: int) -> Relation:
    """Return a relation: the same items along ``axis``, in another order."""

    def relation(got: np.ndarray, right: np.ndarray, tol: float) -> bool | None:
        if got.ndim < max(2, -axis) or got.shape[axis] < 2:
            return None
        theirs = np.moveaxis(got, axis, 0).reshape(got.shape[axis], -1)
        ours = np.moveaxis(right, axis, 0).reshape(got.shape[axis], -1)
        places = [int(np.argmin(np.abs(ours - item).max(axis=1))) for item in theirs]
        return len(set(places)) == len(places) and _near(theirs, ours[places], tol)

    return relation


def _same_entries(got: np.ndarray, right: np.ndarray, tol: float) -> bool | None:
    """Say whether all of the right numbers are there, each somewhere."""
    return _near(np.sort(got, axis=None), np.sort(right, axis=None), tol) if got.size > 3 else None


def _only(*inside: slice, least: int = 3) -> Relation:
    """Return a relation: equal in the part ``inside`` of the last axes, wrong outside only."""

    def relation(got: np.ndarray, right: np.ndarray, tol: float) -> bool | None:
        if got.ndim < len(inside) or min(got.shape[-len(inside) :]) < least:
            return None
        part = (..., *inside)
        return _near(got[part], right[part], tol)

    return relation


_ALL, _INNER = slice(None), slice(1, -1)
_SHIFT = "the result is shifted by one along the last{} axis, to {} indices"

RELATIONS: list[tuple[str, Relation]] = [
    ("the result is zero everywhere", lambda got, right, tol: not np.any(got)),
    ("the sign is wrong", lambda got, right, tol: _near(-got, right, tol)),
    ("the absolute value is right, signs are not",
     lambda got, right, tol: _near(np.abs(got), np.abs(right), tol)),
    *((f"the results are right only to {kind} precision; is something {kind}?", _reduced(kind))
      for kind in ("float32", "float16", "bfloat16")),
    ("the last two axes are swapped", _moved(lambda a: a.swapaxes(-1, -2), 2)),
    ("the first two axes are swapped", _moved(lambda a: a.swapaxes(0, 1), 2)),
    ("the last axis runs backwards; is a kernel flipped?", _moved(lambda a: a[..., ::-1])),
    ("the last but one axis runs backwards", _moved(lambda a: a[..., ::-1, :], 2)),
    ("the last two axes run backwards; is a kernel flipped?",
     _moved(lambda a: a[..., ::-1, ::-1], 2)),
    *((_SHIFT.format(but, to), _shifted(axis, step))
      for but, axis in (("", -1), (" but one", -2)) for to, step in (("higher", 1), ("lower", -1))),
    ("the results are right, with the channels in another order", _reordered(-3)),
    ("the results are right, with the rows in another order", _reordered(-2)),
    ("the results are right, with the columns in another order", _reordered(-1)),
    ("the results are right, with the first axis in another order", _reordered(0)),
    ("the results are the right numbers, in another order", _same_entries),
]  # fmt: skip

PLACES: list[tuple[str, Relation]] = [
    ("only the last column is wrong", _only(slice(None, -1))),
    ("only the last row is wrong", _only(slice(None, -1), _ALL)),
    ("only the first column is wrong", _only(slice(1, None))),
    ("only the first row is wrong", _only(slice(1, None), _ALL)),
    ("only the outermost rows and columns are wrong", _only(_INNER, _INNER)),
    ("only images after the first are wrong", _only(slice(0, 1), *[_ALL] * 3, least=1)),
    ("only channels after the first are wrong", _only(slice(0, 1), _ALL, _ALL, least=1)),
]  # fmt: skip


def common_factor(pairs: Sequence[Pair]) -> float | None:
    """Return the one number by which all wrong results are too large, or None."""
    parts = [
        got[seen] / right[seen]
        for got, right, _ in pairs
        for seen in [
            np.isfinite(got) & np.isfinite(right) & (np.abs(right) > 1e-3 * largest(right))
        ]
    ]
    ratios = np.concatenate(parts)
    middle = float(np.median(ratios)) if ratios.size else np.nan
    if ratios.size < 2 or not np.allclose(ratios, middle, rtol=1e-6) or abs(middle - 1) < 1e-6:
        return None
    exact = all(
        _near(g, middle * e, (1 + abs(middle)) * t + 1e-6 * largest(g)) for g, e, t in pairs
    )
    return middle if exact else None


def factors_of_cases(pairs: Sequence[Pair], names: Sequence[str]) -> str:
    """Say that each case has a factor of its own: a mean for a sum, a count that is wrong."""
    if any(got.shape != right.shape for got, right, _ in pairs):
        return ""
    factors = [common_factor([pair]) for pair in pairs]
    if None in factors or len(pairs) < 2:
        return ""
    return (
        "in each case the result is off by a factor of its own, such as "
        f"{factors[0]:.6g} in {names[0]}; is something counted twice or not divided?"
    )


def shape_remark(shapes: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> str:
    """Say in what way shapes (got, right) are wrong, if it is the same in all of them."""
    if not shapes or any(got == right for got, right in shapes):
        return ""
    first = f"shape {shapes[0][0]}, expected {shapes[0][1]}"
    for text, holds in (
        ("the results have another number of axes", lambda g, r: len(g) != len(r)),
        ("the axes are in the opposite order", lambda g, r: g[::-1] == r),
        ("the last two axes are swapped", lambda g, r: g[:-2] + g[:-3:-1] == r),
        ("two axes of the results are exchanged", lambda g, r: sorted(g) == sorted(r)),
        ("a size is off by one", lambda g, r: set(np.abs(np.subtract(g, r))) == {0, 1}
         or set(np.abs(np.subtract(g, r))) == {1}),
        ("the results have too many rows or columns", lambda g, r: np.all(np.greater_equal(g, r))),
        ("the results have too few rows or columns", lambda g, r: np.all(np.less_equal(g, r))),
    ):  # fmt: skip
        try:
            if all(holds(got, right) for got, right in shapes):
                return f"{text}: {first}"
        except ValueError:  # other numbers of axes cannot be subtracted
            continue
    return f"the result has the wrong shape: {first}"
