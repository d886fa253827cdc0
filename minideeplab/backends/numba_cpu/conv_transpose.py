"""Transposed convolution: the input gradient of a convolution; its gradient is a convolution."""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution import (
    bias_gradient,
    conv2d,
    input_gradient,
    weight_gradient,
)
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.layout import maps, pixels
from minideeplab.ops.window import Pair, transposed_size


def _problem(x, w, stride, padding, output_padding, groups, dilation) -> Problem:
    """Return the convolution that maps the result's size to that of x (N, C, H, W)."""
    size = map(transposed_size, x.shape[2:], w.shape[2:], stride, padding, output_padding, dilation)
    return Problem(
        batch=len(x),
        size=tuple(size),
        out=tuple(x.shape[2:]),
        channels=w.shape[1] * groups,
        filters=len(w),
        kernel=tuple(w.shape[2:]),
        stride=stride,
        start=padding,
        dilation=dilation,
        groups=groups,
    )


def conv_transpose2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    output_padding: Pair,
    groups: int,
    dilation: Pair,
) -> np.ndarray:
    """Scatter each input through w: x (N, C, H, W), w (C, K / groups, kh, kw) -> (N, K, P, Q).

    The output's size is ``ops.window.transposed_size``.
    """
    problem = _problem(x, w, stride, padding, output_padding, groups, dilation)
    y = input_gradient(pixels(x), w, problem)
    return maps(y if b is None else np.add(y, b, out=y))


def conv_transpose2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    stride: Pair,
    padding: Pair,
    output_padding: Pair,
    groups: int,
    dilation: Pair,
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return (dx, dw, db) of ``conv_transpose2d``, None where not needed."""
    problem = _problem(x, w, stride, padding, output_padding, groups, dilation)
    # Less padding below and right drops the rows that output_padding added: dx has x's size.
    edges = tuple((p, p - extra) for p, extra in zip(padding, output_padding, strict=True))
    dx = conv2d(dy, w, None, stride, edges, dilation, groups) if needs[0] else None
    dw = weight_gradient(pixels(x), pixels(dy), problem) if needs[1] else None
    db = bias_gradient(pixels(dy)) if needs[2] else None
    return dx, dw, db
