"""Mistakes that any operation can make: precision, memory, batches, borders, lost factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, Mutant, right, right_backward

Change = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _on_output(op: str, change: Change) -> Function:
    """Return ``op`` with ``change(output, input)`` applied to its output."""

    def forward(*arrays: Any, **options: Any) -> Any:
        result = right(op)(*arrays, **options)
        if isinstance(result, tuple):
            return (change(result[0], arrays[0]), *result[1:])
        return change(np.asarray(result), arrays[0])

    return forward


def _in_single_precision(op: str) -> Function:
    def forward(*arrays: Any, **options: Any) -> Any:
        floats = [a is not None and a.dtype.kind == "f" for a in arrays]
        sent = [
            a.astype(np.float32) if is_float else a
            for a, is_float in zip(arrays, floats, strict=True)
        ]
        return np.asarray(right(op)(*sent, **options)).astype(arrays[0].dtype)

    return forward


def _strides_ignored(op: str) -> Function:
    def forward(*arrays: Any, **options: Any) -> Any:
        x = arrays[0]
        return right(op)(np.ravel(x, order="K").reshape(x.shape), *arrays[1:], **options)

    return forward


def _input_overwritten(op: str) -> Function:
    def forward(*arrays: Any, **options: Any) -> Any:
        result = right(op)(*arrays, **options)
        if arrays[0].flags.writeable:
            arrays[0][...] *= 0.5
        return result

    return forward


def _empty_refused(op: str) -> Function:
    def forward(*arrays: Any, **options: Any) -> Any:
        if arrays[0].size == 0:
            raise ZeroDivisionError("division by zero")
        return right(op)(*arrays, **options)

    return forward


def _parameters_cleaned(op: str) -> Function:
    def forward(x: np.ndarray, *arrays: Any, **options: Any) -> Any:
        cleaned = [a if a is None else np.nan_to_num(a) for a in arrays]
        return right(op)(x, *cleaned, **options)

    return forward


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


def _last_column_lost(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    y = y.copy()
    y[..., -1:] = 0
    return y


def _tile_only(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    y, width = y.copy(), y.shape[-1]
    y[..., width // 8 * 8 if width > 8 else width :] = 0
    return y


def _batch_axis_kept(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return y[None] if x.ndim == 3 else y


FORWARD: dict[str, tuple[Callable[[str], Function], str, str]] = {
    "single-precision": (
        _in_single_precision,
        "float64 is computed in float32 inside",
        "conv2d conv_transpose2d linear avg_pool2d interpolate softmax log_softmax cross_entropy",
    ),
    "double-result": (
        lambda op: _on_output(op, lambda y, x: y.astype(np.float64)),
        "the result is float64 whatever the input is",
        "conv2d conv_transpose2d linear max_pool2d avg_pool2d interpolate pad relu softmax"
        " cross_entropy batch_norm",
    ),
    "first-image": (
        lambda op: _on_output(op, _first_image),
        "every image of the batch gets the first's result",
        "conv2d conv_transpose2d max_pool2d avg_pool2d interpolate pad batch_norm",
    ),
    "strides-ignored": (
        _strides_ignored,
        "the input's strides are ignored: memory is read as if contiguous",
        "conv2d max_pool2d avg_pool2d interpolate relu softmax batch_norm unfold linear",
    ),
    "input-overwritten": (
        _input_overwritten,
        "the input is written to",
        "conv2d max_pool2d relu softmax log_softmax cross_entropy batch_norm pad",
    ),
    "empty-refused": (
        _empty_refused,
        "an empty batch is refused",
        "conv2d conv_transpose2d max_pool2d avg_pool2d interpolate softmax cross_entropy linear",
    ),
    "parameters-cleaned": (
        _parameters_cleaned,
        "NaN and infinity in the weight or the bias are replaced by numbers",
        "conv2d conv_transpose2d linear",
    ),
    "last-column-lost": (
        lambda op: _on_output(op, _last_column_lost),
        "the last column is never written: a bound is off by one",
        "conv2d conv_transpose2d max_pool2d avg_pool2d interpolate relu unfold",
    ),
    "tile-only": (
        lambda op: _on_output(op, _tile_only),
        "columns after the last full tile of 8 are not computed",
        "conv2d conv_transpose2d max_pool2d avg_pool2d interpolate relu softmax fold",
    ),
    "batch-axis-kept": (
        lambda op: _on_output(op, _batch_axis_kept),
        "an unbatched input comes back with a batch axis",
        "conv2d conv_transpose2d max_pool2d avg_pool2d adaptive_avg_pool2d unfold",
    ),
}
"""Name: how to make it, the diagnosis, and the operations that it is made for."""


def _changed(op: str, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Function:
    """Return a backward whose every gradient is ``change(gradient, input)``."""

    def backward(grad_out: np.ndarray, *arrays: Any, **options: Any) -> list[Any]:
        given = right_backward(op)(grad_out, *arrays, **options)
        return [g if g is None else change(g, arrays[0]) for g in given]

    return backward


def _cotangent_ignored(op: str) -> Function:
    def backward(grad_out: np.ndarray, *arrays: Any, **options: Any) -> Any:
        return right_backward(op)(np.ones_like(grad_out), *arrays, **options)

    return backward


def _cotangent_overwritten(op: str) -> Function:
    def backward(grad_out: np.ndarray, *arrays: Any, **options: Any) -> Any:
        given = right_backward(op)(grad_out, *arrays, **options)
        grad_out[...] = 0
        return given

    return backward


BACKWARD: dict[str, tuple[Callable[[str], Function], str, str]] = {
    "gradient-negated": (
        lambda op: _changed(op, lambda g, x: -g),
        "the gradients have the opposite sign",
        "conv2d linear max_pool2d softmax cross_entropy batch_norm",
    ),
    "gradient-zero": (
        lambda op: _changed(op, lambda g, x: np.zeros_like(g)),
        "the gradients are all zero",
        "conv2d softmax batch_norm interpolate",
    ),
    "gradient-per-image": (
        lambda op: _changed(op, lambda g, x: g / max(1, len(x)) if x.ndim > 1 else g),
        "the gradients are divided by the batch size",
        "conv2d conv_transpose2d linear avg_pool2d relu",
    ),
    "cotangent-ignored": (
        _cotangent_ignored,
        "the output's gradient is ignored: as if the loss were the plain sum",
        "conv2d linear max_pool2d avg_pool2d softmax log_softmax interpolate relu cross_entropy"
        " batch_norm",
    ),
    "cotangent-overwritten": (
        _cotangent_overwritten,
        "the output's gradient is written to",
        "conv2d relu softmax max_pool2d batch_norm",
    ),
}


def generic_mutants(op: str) -> list[Mutant]:
    """Return the generic mistakes made for ``op``."""
    found = [
        Mutant(op, name, text, forward=make(op))
        for name, (make, text, ops) in FORWARD.items()
        if op in ops.split()
    ]
    found += [
        Mutant(op, name, text, backward=make(op))
        for name, (make, text, ops) in BACKWARD.items()
        if op in ops.split()
    ]
    if op in ("conv2d", "interpolate", "avg_pool2d", "softmax"):
        text = "one buffer is reused: a later call changes an earlier result"
        found.append(Mutant(op, "buffer-reused", text, _buffer_reused(op), property_only=True))
    return found
