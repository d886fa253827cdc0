"""Layers run in order, a convolution in one pass with what follows it: see `functional.fused`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minideeplab.functional.fused import batch_norm_relu, conv2d_relu, conv2d_scaled
from minideeplab.nn import BatchNorm2d, Conv2d, Module, ReLU
from minideeplab.tape import is_recording
from minideeplab.tensor import Tensor


def run(layers: Sequence[Module], x: Tensor | np.ndarray) -> Tensor | np.ndarray:
    """Apply layers to x (N, C, H, W) in order, a convolution or batch norm together with its ReLU.

    When nothing is recorded, a batch norm in ``eval`` mode joins the convolution before it.
    """
    at = 0
    while at < len(layers):
        x, count = _first(layers[at : at + 3], x)
        at += count
    return x


def _first(layers: Sequence[Module], x: Tensor | np.ndarray) -> tuple[Tensor | np.ndarray, int]:
    """Apply the first layer and those that join it; return the result and their number."""
    conv, norm, last = (*layers, None, None)[:3]
    if type(conv) is BatchNorm2d and type(norm) is ReLU:
        return _norm_relu(conv, x), 2
    if type(conv) is not Conv2d:
        return conv(x), 1
    options = (conv.stride, conv.padding, conv.dilation, conv.groups)
    if type(norm) is ReLU:
        return conv2d_relu(x, conv.weight, conv.bias, *options), 2
    constant = type(norm) is BatchNorm2d and not (norm.training or is_recording())
    if not constant or conv.bias is not None:
        return conv(x), 1
    scale, shift = norm.scale_and_shift()
    rectify = type(last) is ReLU
    return conv2d_scaled(x, conv.weight, scale, shift, *options, rectify), 2 + rectify


def _norm_relu(norm: BatchNorm2d, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
    statistics = (norm.running_mean, norm.running_var)
    options = (norm.training, norm.momentum, norm.eps)
    return batch_norm_relu(x, *statistics, norm.weight, norm.bias, *options)
