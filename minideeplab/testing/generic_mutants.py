"""Mistakes that any operation can make: precision, memory, batches, borders, lost factors.

A record names those of them that its rows show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, Mutant, right, right_backward

Maker = Callable[[str], Function]
"""Makes a wrong implementation of the operation of this name."""


def _output(change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Maker:
    """Return a maker that applies ``change(output, input)`` to the output."""

    def make(op: str) -> Function:
        def forward(*arrays: Any, **options: Any) -> Any:
            result = right(op)(*arrays, **options)
            if isinstance(result, tuple):
                return (change(result[0], arrays[0]), *result[1:])
            return change(np.asarray(result), arrays[0])

        return forward

    return make


def _sent(change: Callable[..., Sequence[Any]]) -> Maker:
    """Return a maker that replaces the arrays by ``change(*arrays)``."""
    return lambda op: right(op).before(lambda *arrays, **options: change(*arrays))


def _in_single_precision(op: str) -> Function:
    def forward(*arrays: Any, **options: Any) -> Any:
        sent = [a if a is None or a.dtype.kind != "f" else a.astype(np.float32) for a in arrays]
        return np.asarray(right(op)(*sent, **options)).astype(arrays[0].dtype)

    return forward


def _halve(x: np.ndarray) -> None:
    if x.flags.writeable:
        x[...] *= 0.5


def _input_overwritten(op: str) -> Function:
    def forward(*arrays: Any, **options: Any) -> Any:
        result = right(op)(*arrays, **options)
        _halve(arrays[0])
        return result

    return forward


def _refused_if_empty(x: np.ndarray, *rest: Any) -> Sequence[Any]:
    if x.size == 0:
        raise ZeroDivisionError("division by zero")
    return x, *rest


def _buffer_reused(op: str) -> Function:
    buffers: dict[Any, np.ndarray] = {}

    def forward(*arrays: Any, **options: Any) -> Any:
        result = np.asarray(right(op)(*arrays, **options))
        buffer = buffers.setdefault((result.shape, result.dtype.str), np.empty_like(result))
        buffer[...] = result
        return buffer

    return forward


def _first_image(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.broadcast_to(y[:1], y.shape).copy() if y.ndim == x.ndim and len(y) > 1 else y


def _cut(y: np.ndarray, start: int) -> np.ndarray:
    """Return ``y`` with zeros in the columns from ``start`` on."""
    y = y.copy()
    y[..., start:] = 0
    return y


def _tile_only(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    width = y.shape[-1]
    return _cut(y, width // 8 * 8 if width > 8 else width)


FORWARD: dict[str, tuple[Maker, str]] = {
    "single-precision": (_in_single_precision, "float64 is computed in float32 inside"),
    "double-result": (_output(lambda y, x: y.astype(np.float64)),
                      "the result is float64 whatever the input is"),
    "first-image": (_output(_first_image), "every image of the batch gets the first's result"),
    "strides-ignored": (_sent(lambda x, *rest: (np.ravel(x, order="K").reshape(x.shape), *rest)),
                        "the input's strides are ignored: memory is read as if contiguous"),
    "input-overwritten": (_input_overwritten, "the input is written to"),
    "empty-refused": (_sent(_refused_if_empty), "an empty batch is refused"),
    "parameters-cleaned": (
        _sent(lambda x, *rest: (x, *(a if a is None else np.nan_to_num(a) for a in rest))),
        "NaN and infinity in the weight or the bias are replaced by numbers"),
    "last-column-lost": (_output(lambda y, x: _cut(y, -1)),
                         "the last column is never written: a bound is off by one"),
    "tile-only": (_output(_tile_only), "columns after the last full tile of 8 are not computed"),
    "batch-axis-kept": (_output(lambda y, x: y[None] if x.ndim == 3 else y),
                        "an unbatched input comes back with a batch axis"),
    "buffer-reused": (_buffer_reused,
                      "one buffer is reused: a later call changes an earlier result"),
}  # fmt: skip


def _changed(change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Maker:
    """Return a maker of a backward whose every gradient is ``change(gradient, input)``."""

    def make(op: str) -> Function:
        def backward(grad_out: np.ndarray, *arrays: Any, **options: Any) -> list[Any]:
            given = right_backward(op)(grad_out, *arrays, **options)
            return [g if g is None else change(g, arrays[0]) for g in given]

        return backward

    return make


def _cotangent_ignored(op: str) -> Function:
    return lambda dy, *arrays, **options: right_backward(op)(np.ones_like(dy), *arrays, **options)


def _cotangent_overwritten(op: str) -> Function:
    def backward(grad_out: np.ndarray, *arrays: Any, **options: Any) -> Any:
        given = right_backward(op)(grad_out, *arrays, **options)
        grad_out[...] = 0
        return given

    return backward


BACKWARD: dict[str, tuple[Maker, str]] = {
    "gradient-negated": (_changed(lambda g, x: -g), "the gradients have the opposite sign"),
    "gradient-zero": (_changed(lambda g, x: np.zeros_like(g)), "the gradients are all zero"),
    "gradient-per-image": (_changed(lambda g, x: g / max(1, len(x)) if x.ndim > 1 else g),
                           "the gradients are divided by the batch size"),
    "cotangent-ignored": (_cotangent_ignored,
                          "the output's gradient is ignored: as if the loss were the plain sum"),
    "cotangent-overwritten": (_cotangent_overwritten, "the output's gradient is written to"),
}  # fmt: skip

PROPERTY_ONLY = ("buffer-reused",)


def generic_mutants(op: str, names: Sequence[str]) -> list[Mutant]:
    """Return the generic mistakes called ``names``, made for ``op``."""
    found = []
    for name in names:
        make, text = FORWARD[name] if name in FORWARD else BACKWARD[name]
        kind = "forward" if name in FORWARD else "backward"
        only = name in PROPERTY_ONLY
        found.append(Mutant(op, name, text, property_only=only, **{kind: make(op)}))
    return found
