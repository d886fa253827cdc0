"""Shared by softmax, log-softmax and cross-entropy: rows, random calls, tolerances, mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.case import Case, constant, placed, spread, ties
from minideeplab.testing.mutant import QUIET, Change, Function, right
from minideeplab.testing.operation import Drawn, Result, Rng, Sides, largest
from minideeplab.testing.random_arrays import any_shape, array, integers, whole
from minideeplab.testing.rows import Rows, single

INF, NAN = float("inf"), float("nan")
X = (2, 3, 4, 5)


def class_axis(ndim: int) -> int:
    """Return the class axis of cross-entropy: 1, or 0 for one unbatched score vector."""
    return min(ndim - 1, 1)


def softmax_rows(row: Rows) -> list[Case]:
    """Return the rows of softmax and log-softmax, which differ in nothing but the logarithm."""
    return [
        row("channels", X, dim=1),
        row("batch", X, dim=0),
        row("height", X, dim=2),
        row("last", X, dim=-1),
        row("third-from-last", X, dim=-3),
        row("matrix", (4, 6), dim=1),
        row("columns", (4, 6), dim=0),
        row("vector", (6,), dim=0),
        row("three-axes", (2, 5, 3), dim=1),
        row.edge("one-class", (2, 1, 4, 5), dim=1),
        row("equal", X, dim=1, fill=constant(3.0), tags="tie"),
        row("ties", X, dim=1, fill=ties, tags="tie"),
        row.edge("large", X, dim=1, fill=spread(1e3),
                 note="without subtracting the maximum, exp overflows"),
        row.edge("huge", X, dim=1, fill=spread(1e30)),
        row.edge("far-below-zero", X, dim=1, fill=spread(1.0, -2e3),
                 note="without subtracting the maximum, every exp is zero"),
        row("offset", X, dim=1, fill=spread(1.0, 500.0)),
        row("minus-infinity", X, dim=1, fill=placed({(0, 1): -INF}), tags="nan"),
        row("all-minus-infinity", X, dim=1, fill=placed({(0, ..., 1): -INF}), tags="nan",
            note="0/0 is NaN"),
        row("infinity", X, dim=1, fill=placed({(0, 1, 2): INF}), tags="nan quirk"),
        row("nan", X, dim=1, fill=placed({(0, 1, 2, 3): NAN}), tags="nan",
            note="NaN spreads over its own pixel's classes and no further"),
        row.tile((1, 21, 33, 35), dim=1),
        row.empty((0, 3, 4, 5), dim=1),
        row.large("classes", (2, 300, 2), dim=1),
        row.large("axis", (2, 1, 1100), dim=-1),
        row.large("batch", (300, 3), dim=1),
        row.laid("strided", X, dim=1),
        row.laid("reversed", X, dim=1),
        row.laid("channels_last", X, dim=1),
        row.laid("broadcast", X, dim=0),
    ]  # fmt: skip


def softmax_kwargs(op: str) -> dict[str, Any]:
    """Return the fields of a record that softmax and log-softmax share."""
    row = Rows(single, op)
    return {
        "name": op,
        "rows": softmax_rows(row),
        "sample": row("sample", (2, 5, 3, 4), dim=1),
        "draw": _draw,
        "products": lambda result: float(
            result.x.size * result.x.shape[result.case.options["dim"]]
        ),
    }


def _draw(rng: Rng) -> Drawn:
    shape = any_shape(rng)
    arrays = {"input": array(rng, shape)}
    return Drawn(arrays, {"dim": whole(rng, -len(shape), len(shape) - 1)})


SATURATED = 4096.0
"""Scores so far apart give probabilities of zero and one, however they are rounded.

Below, exp(x - log(sum(exp(x)))) is a right softmax, too, whose exponent is rounded by eps |x|:
hence |x| as the size of the terms. It is each row's own: scores around 1 allow no more than before.
"""


def score_terms(result: Result, length: float, bounded: bool = False) -> float:
    """Return the size of the scores, or for a gradient what rounded scores make of it.

    Scores that are off by eps |x| give other probabilities; ``bounded`` results saturate as well.
    """
    x = largest(result.x)
    if result.is_gradient:
        return largest(result.cotangent) * max(1.0, min(x, SATURATED))
    return min(x, SATURATED) if bounded else x


def softmax_shift(f: Function, rng: Rng, dtype: Any) -> Sides:
    """A constant added to all classes changes nothing (whole numbers: the sum is exact)."""
    x = integers(rng, dtype, (2, 5, 3, 4))
    return f(x + 64, dim=1), f(x, dim=1), 64.0


SMALL = (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1.0)
"""Numbers that are seen added to a sum so that it is not zero."""


def along(change: Callable[..., np.ndarray]) -> Function:
    """Return ``change(x, largest, total)``, with ``total(e)`` the sum over the classes."""

    def forward(x: np.ndarray, dim: int) -> np.ndarray:
        with np.errstate(**QUIET):
            top = x.max(axis=dim, keepdims=True) if x.size else x
            return change(x, top, lambda e: e.sum(axis=dim, keepdims=True))

    return forward


log_shares = along(lambda x, top, total: x - top - np.log(total(np.exp(x - top))))
"""The logarithm of softmax."""


def jacobian(change: Callable[..., np.ndarray]) -> Change:
    """Return a change of dx, ``change(dy, y, total)``, with y the softmax of the input."""
    return lambda given, dy, arrays, options: change(
        dy,
        right("softmax")(arrays[0], **options),
        lambda v: v.sum(axis=options["dim"], keepdims=True),
    )


def wrong_axes(op: str) -> dict[str, tuple[Function, str]]:
    """Return mutants of softmax or log-softmax that do not look at ``dim``."""
    return {
        "last-axis": (lambda x, dim: right(op)(x, -1), "dim is ignored: always the last axis"),
        "channels": (lambda x, dim: right(op)(x, min(1, x.ndim - 1)),
                     "dim is ignored: always axis 1"),
    }  # fmt: skip
