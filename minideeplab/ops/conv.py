"""Convolution, atrous convolution and their transposes (DeepLab, section 3.1, equation 1).

    y[n, f, p, q] = b[f] + sum over c, i, j of
                    w[f, c, i, j] x[n, c, p s + i d - top, q s + j d - left]

with stride s and dilation ("rate") d. The sum over the taps (i, j) is a loop; under one tap, the
sum over channels is a matrix product. So a convolution is, for each tap, one matrix times one
shifted image.

Shapes: x (N, C, H, W), w (F, C/G, kh, kw), b (F,) or None, y (N, F, P, Q), G groups;
P = floor((H + top + bottom - kh - (kh-1)(d-1)) / s) + 1, and Q likewise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minideeplab.ops.activation import relu
from minideeplab.ops.window import (
    Padding,
    Pair,
    crop_planes,
    output_shape,
    pad_planes,
    tap,
    transposed_size,
)

ALGORITHMS = ()  # what `algorithm` of `functional.conv2d` may name besides "auto"
Needs = tuple[bool, bool, bool]


def _matrices(w: np.ndarray, groups: int) -> np.ndarray:
    """One (F/G, C/G) matrix for each tap and group: (F, C/G, kh, kw) -> (kh, kw, G, F/G, C/G)."""
    f, c, kh, kw = w.shape
    by_group = w.reshape(groups, f // groups, c, kh, kw)
    return np.ascontiguousarray(by_group.transpose(3, 4, 0, 1, 2))


def _columns(x: np.ndarray, groups: int) -> np.ndarray:
    """One column of channels for each pixel: (N, C, P, Q) -> (N, G, C/G, P*Q)."""
    n, c, p, q = x.shape
    return x.reshape(n, groups, c // groups, p * q)


def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """Convolve x (N, C, H, W) with w (F, C/G, kh, kw): y (N, F, P, Q)."""
    out = output_shape(x.shape[2:], w.shape[2:], stride, padding, dilation)
    x, matrices = pad_planes(x, padding), _matrices(w, groups)
    y = np.zeros((len(x), len(w), *out), x.dtype)
    for i, j in np.ndindex(w.shape[2:]):
        image = tap(x, i, j, out, stride, dilation)  # (N, C, P, Q)
        y += (matrices[i, j] @ _columns(image, groups)).reshape(y.shape)
    return y if b is None else y + b[:, None, None]


def conv2d_epilogue(
    x: np.ndarray,
    w: np.ndarray,
    shift: np.ndarray | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    *,
    scale: np.ndarray | None = None,
    rectify: bool = False,
) -> np.ndarray:
    """`conv2d` of x and w, times scale, plus shift, both (F,) or None; then `relu` if `rectify`."""
    if scale is None:
        y = conv2d(x, w, shift, stride, padding, dilation, groups)
    else:
        y = conv2d(x, w, None, stride, padding, dilation, groups) * scale[:, None, None]
        y = y if shift is None else y + shift[:, None, None]
    return relu(y) if rectify else y


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    needs: Needs = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients (dx, dw, db) of `conv2d` for dy (N, F, P, Q); None where not needed."""
    dx = _input_gradient(dy, w, x.shape, stride, padding, dilation, groups) if needs[0] else None
    dw = _weight_gradient(dy, x, w.shape, stride, padding, dilation, groups) if needs[1] else None
    db = dy.sum(axis=(0, 2, 3)) if needs[2] else None
    return dx, dw, db


def _input_gradient(
    dy: np.ndarray,
    w: np.ndarray,
    x_shape: Sequence[int],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """dx (N, C, H, W): each tap hands its share of dy back to the pixels that it read."""
    out, matrices, columns = dy.shape[2:], _matrices(w, groups), _columns(dy, groups)
    dx = pad_planes(np.zeros(x_shape, dy.dtype), padding)
    for i, j in np.ndindex(w.shape[2:]):
        image = tap(dx, i, j, out, stride, dilation)  # a view: adding to it adds to dx
        image += (matrices[i, j].swapaxes(-1, -2) @ columns).reshape(image.shape)
    return crop_planes(dx, padding, x_shape[2:])


def _weight_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    w_shape: Sequence[int],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """dw (F, C/G, kh, kw): under each tap, dy times the image, summed over images and pixels."""
    out, columns = dy.shape[2:], _columns(dy, groups)  # (N, G, F/G, P*Q)
    x, dw = pad_planes(x, padding), np.empty(w_shape, dy.dtype)
    for i, j in np.ndindex(*w_shape[2:]):
        image = _columns(tap(x, i, j, out, stride, dilation), groups)  # (N, G, C/G, P*Q)
        products = (columns @ image.swapaxes(-1, -2)).sum(axis=0)  # (G, F/G, C/G)
        dw[:, :, i, j] = products.reshape(w_shape[:2])
    return dw


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
    """Transposed convolution: the input gradient of `conv2d`, used as a forward pass.

    x (N, C, H, W), w (C, F/G, kh, kw), b (F,) or None -> y (N, F, P, Q) with
    P = (H-1) s - 2 pad + kh + (kh-1)(d-1) + output_padding.
    """
    out = map(transposed_size, x.shape[2:], w.shape[2:], stride, padding, output_padding, dilation)
    y_shape = (len(x), w.shape[1] * groups, *out)
    y = _input_gradient(x, w, y_shape, stride, _both_sides(padding), dilation, groups)
    return y if b is None else y + b[:, None, None]


def conv_transpose2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    stride: Pair,
    padding: Pair,
    output_padding: Pair,
    groups: int,
    dilation: Pair,
    needs: Needs = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients (dx, dw, db): the transpose of a transpose is `conv2d`, with x and dy swapped."""
    sides, dx, dw = _both_sides(padding), None, None
    if needs[0]:
        dx = conv2d(dy, w, None, stride, sides, dilation, groups)
        dx = dx[:, :, : x.shape[2], : x.shape[3]]  # output_padding >= stride: windows too many
    if needs[1]:
        dw = _weight_gradient(x, dy, w.shape, stride, sides, dilation, groups)
    db = dy.sum(axis=(0, 2, 3)) if needs[2] else None
    return dx, dw, db


def _both_sides(padding: Pair) -> Padding:
    return (padding[0], padding[0]), (padding[1], padding[1])


def linear(x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
    """y = x w^T + b: a 1x1 convolution without pixels. x (N, I), w (O, I), b (O,) -> y (N, O)."""
    y = x @ w.T
    return y if b is None else y + b


def linear_backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, needs: Needs = (True, True, True)
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients (dx, dw, db) of `linear` for dy (N, O); None where not needed."""
    dx = dy @ w if needs[0] else None
    dw = dy.T @ x if needs[1] else None
    db = dy.sum(axis=0) if needs[2] else None
    return dx, dw, db
