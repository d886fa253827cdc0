"""cross_entropy: the loss of scores against labels or class probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.case import (
    Array,
    Case,
    Fill,
    distribution,
    labels,
    normal,
    placed,
    positive,
    spread,
)
from minideeplab.testing.mutant import Function
from minideeplab.testing.operation import Drawn, Operation, Rng, Sides
from minideeplab.testing.operations.cross_entropy_mutants import BACKWARD, FORWARD
from minideeplab.testing.operations.scores import class_axis, score_terms
from minideeplab.testing.random_arrays import array, batch, chance, decimal, normals, some, whole
from minideeplab.testing.rows import Rows, make_row, two_layouts

INF = float("inf")
X = (2, 4, 3, 5)


def _row(
    name: str,
    x: tuple[int, ...],
    target: Callable[..., Array],
    *,
    weight: bool = False,
    fill: Fill = normal,
    layout: str = "contiguous",
    **details: Any,
) -> Case:
    """Return a row with ``target(shape of the scores, layout)``."""
    first, second = two_layouts(layout)
    arrays = {"input": Array(x, fill, first), "target": target(x, second)}
    if weight:
        arrays["weight"] = Array((x[class_axis(len(x))],), positive)
    return make_row("cross_entropy", name, arrays, **details)


def _labelled(
    name: str, x: tuple[int, ...], ignored: int | None = None, share: float = 0.3, **details: Any
) -> Case:
    """Return a row with class-index targets, a ``share`` of them ``ignored``."""

    def target(x: tuple[int, ...], layout: str) -> Array:
        axis = class_axis(len(x))
        return Array(x[:axis] + x[axis + 1 :], labels(x[axis], ignored, share), layout)

    return _row(name, x, target, **details)


def _soft(name: str, x: tuple[int, ...], **details: Any) -> Case:
    """Return a row with class-probability targets."""
    return _row(
        f"probabilities-{name}",
        x,
        lambda x, layout: Array(x, distribution(class_axis(len(x))), layout),
        **details,
    )


row, soft = Rows(_labelled), Rows(_soft)
ignoring = Rows(_labelled, ignored=255, ignore_index=255)

ROWS = [
    row("image", X),
    row("matrix", (6, 4)),
    row("vector", (4,), tags="unbatched"),
    row("three-axes", (2, 4, 7)),
    row("five-axes", (2, 3, 2, 2, 3)),
    row("sum", X, reduction="sum"),
    row("none", X, reduction="none"),
    row("none-vector", (4,), reduction="none", tags="unbatched"),
    row("weight", X, weight=True, note="the mean divides by the sum of the targets' weights"),
    row("weight-sum", X, weight=True, reduction="sum"),
    row("weight-none", X, weight=True, reduction="none"),
    row("ignore-default", X, ignored=-100, note="the default ignore_index is -100"),
    ignoring("ignore-255", X),
    row("ignore-a-class", X, ignore_index=2),
    ignoring("ignore-sum", X, reduction="sum"),
    ignoring("ignore-none", X, reduction="none"),
    ignoring("ignore-weight", X, weight=True),
    ignoring("all-ignored", X, share=1.1, tags="nan edge",
             note="the mean over nothing is NaN, its gradient zero"),
    ignoring.edge("all-ignored-sum", X, share=1.1, reduction="sum"),
    ignoring.edge("all-ignored-none", X, share=1.1, reduction="none"),
    row("smoothing", X, label_smoothing=0.1),
    row("smoothing-sum", (6, 4), label_smoothing=0.3, reduction="sum"),
    row("smoothing-none", X, label_smoothing=0.3, reduction="none"),
    row.edge("smoothing-one", (6, 4), label_smoothing=1.0),
    row("smoothing-weight", X, label_smoothing=0.2, weight=True),
    row("smoothing-weight-none", X, label_smoothing=0.2, weight=True, reduction="none"),
    ignoring("smoothing-ignore", X, label_smoothing=0.2),
    row("smoothing-weight-ignore", X, label_smoothing=0.2, ignored=-1, ignore_index=-1,
        weight=True),
    row.edge("large", X, fill=spread(1e3), note="log(softmax) would be -inf"),
    row.edge("offset", X, fill=spread(1.0, -2e3)),
    row("impossible-class", X, fill=placed({(0, 1): -INF}), ignored=1, ignore_index=1, tags="nan"),
    ignoring.tile((1, 21, 33, 35)),
    row.edge("one-class", (2, 1, 3, 5)),
    row("one-pixel", (2, 4, 1, 1)),
    row("empty-batch", (0, 4, 3, 5), tags="empty nan"),
    row("empty-batch-sum", (0, 4, 3, 5), reduction="sum", tags="empty"),
    row.laid("strided", X),
    row.laid("reversed", X, weight=True),
    row.laid("channels_last readonly", X),
    soft("image", X),
    soft("matrix", (6, 4)),
    soft("vector", (4,), tags="unbatched"),
    soft("sum", X, reduction="sum"),
    soft("none", X, reduction="none"),
    soft("weight", X, weight=True, note="the mean divides by the number of pixels"),
    soft("weight-none", X, weight=True, reduction="none"),
    soft("smoothing", X, label_smoothing=0.2),
    soft("smoothing-weight", X, label_smoothing=0.2, weight=True),
    soft.edge("large", X, fill=spread(1e3)),
    soft.laid("strided reversed", X),
    row.large("classes", (40, 300), note="labels need more than 8 bits"),
    ignoring.large("classes-ignoring", (2, 300, 4, 5)),
    soft.large("classes", (2, 300, 2)),
    row.large("batch", (300, 3)),
]  # fmt: skip


def entropy_of_equal_scores(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Equal scores for C classes cost log C, whatever the labels."""
    labels = rng.integers(0, 5, (2, 3, 4))
    return f(np.full((2, 5, 3, 4), 2.0, dtype), labels), np.log(5.0), 25.0


def entropy_of_one_hot(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Labels are probabilities of one."""
    (scores,), labels = normals(rng, dtype, (2, 5, 3, 4)), rng.integers(0, 5, (2, 3, 4))
    one_hot = np.moveaxis(np.eye(5, dtype=dtype)[labels], -1, 1)
    return f(scores, labels), f(scores, one_hot), 120.0


def entropy_ignores(f: Function, rng: Rng, dtype: Any) -> Sides:
    """Ignored pixels might as well not be there."""
    (scores,) = normals(rng, dtype, (6, 5))
    labels = np.array([0, 255, 3, 4, 255, 1])
    seen = labels != 255
    return f(scores, labels, ignore_index=255), f(scores[seen], labels[seen]), 30.0


def _draw(rng: Rng) -> Drawn:
    classes = whole(rng, 1, 6)
    tail = tuple(whole(rng, 1, 4) for _ in range(whole(rng, 0, 2)))
    lead = (batch(rng),) if chance(rng, 0.9) else ()
    shape = (*lead, classes, *(tail if lead else ()))
    axis = len(lead)
    reduction = str(rng.choice(["mean", "sum", "none"]))
    options = some(rng, reduction=reduction, label_smoothing=decimal(rng))
    if chance(rng, 0.7):
        ignored = int(rng.choice([255, -1, 0, -100]))
        options["ignore_index"] = ignored
        target = Array(shape[:axis] + shape[axis + 1 :], labels(classes, ignored))
    else:
        target = Array(shape, distribution(axis))
    arrays = {"input": array(rng, shape), "target": target}
    if chance(rng, 0.4):
        arrays["weight"] = Array((classes,), positive)
    return Drawn(arrays, options)


OPERATION = Operation(
    "cross_entropy",
    ROWS,
    sample=row("sample", (2, 5, 3, 4)),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="single-precision double-result input-overwritten empty-refused gradient-negated"
    " cotangent-ignored",
    equations=(entropy_of_equal_scores, entropy_of_one_hot, entropy_ignores),
    products=lambda r: float(r.x.size * r.x.shape[class_axis(r.x.ndim)]),
    terms=score_terms,
)
