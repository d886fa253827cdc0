"""Wrong gradients of convolution and linear, and wrong transposed convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.mutant import (
    Function,
    altered,
    backwards,
    forwards,
    pair,
    right,
    right_backward,
    swapped,
)
from minideeplab.testing.mutants.conv import _interleaved

conv2d, conv2d_backward = right("conv2d"), right_backward("conv2d")
Given = list[Any]


def _stride_one(dy: np.ndarray, arrays: Any, options: dict[str, Any]) -> tuple[Any, ...]:
    """Return the gradients if dy is put to the top left of the stride-1 output, not spread."""
    dense = options | {"stride": 1}
    wide = np.zeros_like(conv2d(arrays[0], arrays[1], **dense))
    wide[..., : dy.shape[-2], : dy.shape[-1]] = dy
    return conv2d_backward(wide, *arrays, **dense)


def _without_padding(given: Given, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    """Return dx cut from the wrong place: padding is not removed at the top and left."""
    if isinstance(options.get("padding", 0), str):
        return {}
    rows, columns = pair(options.get("padding", 0))
    return {0: np.roll(given[0], (rows, columns), (-2, -1))}


def _flipped_kernel(given: Given, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    x, w, *rest = arrays
    return {0: conv2d_backward(dy, x, w[..., ::-1, ::-1], *rest, **options)[0]}


def _first_image(given: Given, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    if arrays[0].ndim < 4:
        return {}
    x, *rest = arrays
    return {1: conv2d_backward(dy[:1], x[:1], *rest, **options)[1]}


def _no_padding_in_dw(given: Given, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    """Return dw with the border of x set to zero: windows that touch padding are left out."""
    if not options.get("padding", 0):
        return {}
    x, *rest = arrays
    inner = np.zeros_like(x)
    inner[..., 1:-1, 1:-1] = x[..., 1:-1, 1:-1]
    return {1: conv2d_backward(dy, inner, *rest, **options)[1]}


def _groups_shuffled(given: Given, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    order = _interleaved(arrays[0].shape[-3], options.get("groups", 1))
    return {0: np.take(given[0], order, axis=-3)}


def _per_pixel(given: Given, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    return {2: given[2] / max(1, dy[0].size // dy.shape[-3])} if dy.ndim == 4 and len(dy) else {}


CONV2D_GRADIENTS = backwards(
    "conv2d",
    {
        "dx-unflipped": (_flipped_kernel, "dx uses the kernel unflipped"),
        "dx-shifted": (_without_padding, "dx is not freed of the padding: it is shifted by it"),
        "dx-stride-ignored": (
            lambda g, dy, a, o: {0: _stride_one(dy, a, o)[0]},
            "dx forgets to spread the output's gradient apart by the stride",
        ),
        "dx-zero": (lambda g, dy, a, o: {0: 0 * g[0]}, "dx is all zero"),
        "dx-groups": (_groups_shuffled, "dx mixes up the groups' channels"),
        "dw-stride-ignored": (
            lambda g, dy, a, o: {1: _stride_one(dy, a, o)[1]},
            "dw forgets to spread the output's gradient apart by the stride",
        ),
        "dw-flipped": (lambda g, dy, a, o: {1: g[1][..., ::-1, ::-1]}, "dw is flipped"),
        "dw-transposed": (
            lambda g, dy, a, o: {1: g[1].swapaxes(-1, -2)},
            "dw has height and width confused",
        ),
        "dw-first-image": (_first_image, "dw sums over the first image only"),
        "dw-border": (_no_padding_in_dw, "dw leaves out the windows at the border"),
        "dw-negated": (lambda g, dy, a, o: {1: -g[1]}, "dw has the opposite sign"),
        "db-zero": (
            lambda g, dy, a, o: {2: 0 * g[2]} if len(g) > 2 and g[2] is not None else {},
            "db is all zero",
        ),
        "db-per-pixel": (
            lambda g, dy, a, o: _per_pixel(g, dy, a, o) if len(g) > 2 and g[2] is not None else {},
            "db averages over the pixels instead of summing",
        ),
    },
)

TRANSPOSE_DEFAULTS = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
transpose = right("conv_transpose2d")


def _transpose(**changes: Any) -> Function:
    return altered("conv_transpose2d", TRANSPOSE_DEFAULTS, **changes)


def _transpose_groups(x: np.ndarray, w: np.ndarray, *b: Any, **options: Any) -> np.ndarray:
    order = _interleaved(x.shape[-3], options.get("groups", 1))
    return transpose(np.take(x, order, axis=-3), w, *b, **options)


def _output_padding_before(x: np.ndarray, w: np.ndarray, *b: Any, **options: Any) -> np.ndarray:
    y = transpose(x, w, *b, **options)
    return np.roll(y, pair(options.get("output_padding", 0)), (-2, -1))


def _bias_first(x: np.ndarray, w: np.ndarray, b: Any = None, **options: Any) -> np.ndarray:
    """Return the result with the bias only where some window writes."""
    y = transpose(x, w, None, **options)
    if b is None:
        return y
    touched = transpose(np.ones_like(x), np.ones_like(w), None, **options) != 0
    return y + touched * b[:, None, None]


CONV_TRANSPOSE2D = forwards(
    "conv_transpose2d",
    {
        "kernel-flipped": (
            lambda x, w, *b, **o: transpose(x, w[..., ::-1, ::-1], *b, **o),
            "the kernel is flipped",
        ),
        "kernel-transposed": (
            lambda x, w, *b, **o: transpose(x, w.swapaxes(-1, -2), *b, **o),
            "the kernel's height and width are confused",
        ),
        "padding-ignored": (_transpose(padding=lambda p: 0), "padding is not cut off"),
        "padding-swapped": (_transpose(padding=swapped), "padding's height and width are confused"),
        "stride-swapped": (_transpose(stride=swapped), "stride's height and width are confused"),
        "dilation-ignored": (
            _transpose(dilation=lambda d: 1, output_padding=lambda p: 0),
            "dilation is ignored",
        ),
        "dilation-from-zero": (
            _transpose(dilation=lambda d: tuple(v + 1 for v in pair(d))),
            "dilation is counted from 0: dilation 1 is ordinary convolution",
        ),
        "output-padding-ignored": (
            _transpose(output_padding=lambda p: 0),
            "output_padding is ignored",
        ),
        "output-padding-before": (
            _output_padding_before,
            "output_padding is added at the top and left instead of the end",
        ),
        "groups-interleaved": (
            _transpose_groups,
            "groups are interleaved instead of blocks of channels",
        ),
        "bias-ignored": (
            lambda x, w, b=None, **o: transpose(x, w, None, **o),
            "the bias is not added",
        ),
        "bias-where-touched": (_bias_first, "pixels that no window reaches get no bias"),
    },
) + backwards(
    "conv_transpose2d",
    {
        "dx-flipped": (lambda g, dy, a, o: {0: g[0][..., ::-1, ::-1]}, "dx is flipped"),
        "dw-flipped": (lambda g, dy, a, o: {1: g[1][..., ::-1, ::-1]}, "dw is flipped"),
        "dw-zero": (lambda g, dy, a, o: {1: 0 * g[1]}, "dw is all zero"),
    },
)

linear = right("linear")


def _square_transposed(x: np.ndarray, w: np.ndarray, *b: Any) -> np.ndarray:
    return linear(x, w.T if w.ndim == 2 and w.shape[0] == w.shape[1] else w, *b)


LINEAR = forwards(
    "linear",
    {
        "weight-transposed": (lambda x, w, *b: linear(x, w.T, *b), "the weight is transposed"),
        "square-transposed": (
            _square_transposed,
            "the weight is transposed, which only a square one shows",
        ),
        "bias-ignored": (lambda x, w, b=None: linear(x, w), "the bias is not added"),
        "bias-subtracted": (
            lambda x, w, b=None: linear(x, w, None if b is None else -b),
            "the bias is subtracted",
        ),
    },
) + backwards(
    "linear",
    {
        "dw-transposed": (lambda g, dy, a, o: {1: g[1].T}, "dw is transposed"),
        "dx-zero": (lambda g, dy, a, o: {0: 0 * g[0]}, "dx is all zero"),
        "db-mean": (
            lambda g, dy, a, o: {2: g[2] / max(1, len(dy))} if len(g) > 2 else {},
            "db averages over the batch instead of summing",
        ),
    },
)
