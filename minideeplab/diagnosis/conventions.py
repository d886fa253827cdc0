"""Conventions under which a failing function would be right: other layouts, other counting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minideeplab.diagnosis.changes import two
from minideeplab.diagnosis.evidence import Evidence

Convention = tuple[str, Sequence[str], Callable[..., tuple], Callable[[np.ndarray], np.ndarray]]
"""In words, of which operations, how the call changes, and how the result is read."""


def _last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def _first(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, -1, 1) if array.ndim == 4 else array


def _input(change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., tuple]:
    return lambda x, *rest, **options: ((change(x), *rest), options)


def _weight(
    change: Callable[[np.ndarray], np.ndarray],
    image: Callable[[np.ndarray], np.ndarray] = lambda a: a,
) -> Callable[..., tuple]:
    return lambda x, w, *rest, **options: ((image(x), change(w), *rest), options)


def _from_zero(*arrays: Any, **options: Any) -> tuple:
    dilation = tuple(int(d) - 1 for d in two(options.get("dilation", 1)))
    return arrays, options | {"dilation": dilation}


CONVOLUTIONS = ("conv2d", "conv_transpose2d")
IMAGES = ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "interpolate", "batch_norm")

CONVENTIONS: list[Convention] = [
    ("on channels-last (NHWC) arrays", (*CONVOLUTIONS, *IMAGES), _input(_last), _first),
    ("on channels-last (NHWC) arrays with an HWIO kernel", ("conv2d",),
     _weight(lambda w: w.transpose(2, 3, 1, 0), _last), _first),
    ("with weights stored (in, out, kh, kw)", CONVOLUTIONS,
     _weight(lambda w: w.swapaxes(0, 1)), np.asarray),
    ("with the weight stored (in, out)", ("linear",), _weight(np.transpose), np.asarray),
    ("with the kernel flipped: it computes a convolution in the mathematical sense, torch a "
     "cross-correlation", CONVOLUTIONS, _weight(lambda w: w[..., ::-1, ::-1]), np.asarray),
    ("with dilation counted from 0", (*CONVOLUTIONS, "max_pool2d", "unfold"),
     _from_zero, np.asarray),
]  # fmt: skip


def convention(
    op: str, rows: Sequence[Evidence], passed: Sequence[Evidence], fn: Callable[..., Any],
    passes: Callable[[Evidence, Callable[..., Any]], bool],
) -> str:  # fmt: skip
    """Return the convention under which the failing rows would pass, "" if there is none.

    Args:
        op: the operation.
        rows: the failing ones.
        passed: the others; a convention under which one of them fails is none.
        fn: the function.
        passes: tells whether a row passes with another function.
    """
    for text, ops, change, restore in CONVENTIONS:
        if op in ops:

            def adapted(
                *arrays: Any, change: Any = change, back: Any = restore, **options: Any
            ) -> Any:
                sent, asked = change(*arrays, **options)
                result = fn(*sent, **asked)
                return tuple(map(back, result)) if isinstance(result, tuple) else back(result)

            right = sum(passes(row, adapted) for row in rows)
            if right >= max(2, 0.6 * len(rows)) and all(passes(row, adapted) for row in passed):
                return f"it would be right {text} [right on {right} of {len(rows)} failing rows]"
    return ""
