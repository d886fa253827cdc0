"""dropout: entries are dropped by chance, and the others scaled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.case import Case, positive
from minideeplab.testing.mutant import QUIET, Function, right
from minideeplab.testing.operation import Arguments, Drawn, Operation, Rng, Sides
from minideeplab.testing.random_arrays import any_shape, array, decimal
from minideeplab.testing.rows import Rows, single

X, LARGE = (2, 3, 4, 5), (20, 3, 10, 10)
row = Rows(single, "dropout")
random = Rows(single, "dropout", fill=positive, tags="random")

ROWS = [
    row("eval", X, p=0.4, training=False, note="outside training nothing happens"),
    row("keep-all", X, p=0.0, training=True),
    row.edge("drop-all", X, p=1.0, training=True, note="zeros, not NaN"),
    random("default", LARGE, note="p = 0.5 and training by default"),
    random("p-0.2", LARGE, p=0.2, training=True),
    random("p-0.9", (50, 100), p=0.9, training=True),
    random("vector", (4000,), p=0.3, training=True),
    row("strided-input", LARGE, p=0.3, training=True, layout="strided", fill=positive,
        tags="random strided"),
    row("eval-reversed-input", X, p=0.3, training=False, layout="reversed", tags="strided"),
    row.empty((0, 3, 4, 5), p=0.3, training=True),
]  # fmt: skip


def dropout_masks(f: Any, rng: Rng, dtype: Any) -> Sides:
    """Every call draws a new mask, each entry by itself, whatever its neighbours are.

    Neighbours along an axis, and two calls, keep the same entry in half of the cases.
    """
    if not f.library.writes:
        raise NotImplementedError("without a state, one key gives one mask")
    x = np.ones((16, 8, 12, 12), dtype)
    first, again = (f(x, p=0.5, training=True) != 0 for _ in range(2))
    same = [first == again]
    same += [first.take(range(1, n), i) == first.take(range(n - 1), i)
             for i, n in enumerate(x.shape)]  # fmt: skip
    off = [abs(float(np.mean(s)) - 0.5) * 2 * np.sqrt(s.size) for s in same]
    return np.array(off) > 6.0, np.zeros(len(off)), 0.0


def _draw(rng: Rng) -> Drawn:
    options = {"p": decimal(rng), "training": False}
    return Drawn({"input": array(rng, any_shape(rng))}, options)


def _given_mask(
    case: Case, arguments: Arguments, outcome: Arguments, expected: Arguments
) -> tuple[dict[str, Any], str]:
    """Return what dropout should give for the entries that it chose to keep, and a wrong share.

    The kept share of n entries is within 5 standard deviations of 1 - p, sqrt(p (1 - p) / n).
    """
    x, y = arguments["input"].astype(np.float64), outcome["output"]
    if np.shape(y) != x.shape:
        return dict(expected), ""
    p = case.options.get("p", 0.5)
    factor = np.where(np.asarray(y) != 0, 1.0 / (1.0 - p), 0.0)
    cotangent = case.cotangent(x.shape, arguments["input"].dtype)
    given = {**expected, "output": x * factor, "grad_input": cotangent * factor}
    share, spread = float(np.mean(factor != 0)), np.sqrt(p * (1 - p) / x.size)
    wrong = abs(share - (1 - p)) > 5 * spread
    return given, f"{share:.1%} of the entries were kept, expected {1 - p:.1%}" if wrong else ""


def _drawn(x: np.ndarray, axes: int | None = None) -> np.ndarray:
    """Return uniform numbers, one for each entry or for the first ``axes`` axes."""
    shape = x.shape if axes is None else x.shape[:axes] + (1,) * (x.ndim - axes)
    return np.random.default_rng(x.size).random(shape)


dropout = right("dropout")


def _trained(change: Callable[[np.ndarray, float], np.ndarray], extremes: bool = False) -> Function:
    """Return dropout that gives ``change(x, p)`` in training, where p is neither 0 nor 1.

    With ``extremes`` it does for every p.
    """

    def forward(x: np.ndarray, p: float = 0.5, training: bool = True) -> np.ndarray:
        if not training or (p in (0, 1) and not extremes):
            return dropout(x, p=p, training=training)
        with np.errstate(**QUIET):
            return change(x, p).astype(x.dtype)

    return forward


def _noise(x: np.ndarray, p: float) -> np.ndarray:
    normal = np.random.default_rng(x.size).standard_normal(x.shape)
    return x * (1 + normal * np.sqrt(p / (1 - p)))


def _always_on(x: np.ndarray, p: float = 0.5, training: bool = True) -> np.ndarray:
    return (x * (_drawn(x) >= p) / max(1 - p, 1e-6)).astype(x.dtype)


def _scaled_in_eval(x: np.ndarray, p: float = 0.5, training: bool = True) -> np.ndarray:
    return (x * (_drawn(x) >= p) if training else x * (1 - p)).astype(x.dtype)


FORWARD = {
    "unscaled": (_trained(lambda x, p: x * (_drawn(x) >= p), extremes=True),
                 "kept values are not divided by 1 - p"),
    "scaled-in-eval": (_scaled_in_eval, "values are scaled outside training instead of inside"),
    "keep-probability": (
        _trained(lambda x, p: x * (_drawn(x) >= 1 - p) / max(p, 1e-6), extremes=True),
        "p is taken for the probability to keep"),
    "always-on": (_always_on, "training=False is ignored"),
    "nan-at-one": (_trained(lambda x, p: x * (_drawn(x) >= p) / (1 - np.float64(p)), extremes=True),
                   "p = 1 divides zero by zero"),
    "identity": (_trained(lambda x, p: x.copy(), extremes=True), "nothing is ever dropped"),
    "divided-by-p": (_trained(lambda x, p: x * (_drawn(x) >= p) / p),
                     "kept values are divided by p instead of 1 - p"),
    "channels": (_trained(lambda x, p: x * (_drawn(x, min(x.ndim, 2)) >= p) / (1 - p)),
                 "whole channels are dropped instead of single entries"),
    "noise": (_trained(_noise), "entries are multiplied by noise instead of dropped"),
}  # fmt: skip


OPERATION = Operation(
    "dropout",
    ROWS,
    sample=row("sample", X, training=False),
    draw=_draw,
    forward=FORWARD,
    equations=(dropout_masks,),
    given_chance=_given_mask,
)
