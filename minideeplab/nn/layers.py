"""Layers: each holds its parameters and calls one operation of ``minideeplab.functional``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minideeplab import functional as F
from minideeplab.functional.fused import conv2d_relu, conv2d_scaled
from minideeplab.functional.norm import batch_norm_relu
from minideeplab.nn.module import Module
from minideeplab.tape import is_recording
from minideeplab.tensor import Tensor


class Sequential(Module):
    """Layers applied one after the other: ``Sequential(conv=Conv2d(...), relu=ReLU())``.

    Layers given by position are named "0", "1", ...
    """

    def __init__(self, *layers: Module, **named: Module) -> None:
        super().__init__()
        for name, layer in {**{str(i): layer for i, layer in enumerate(layers)}, **named}.items():
            setattr(self, name, layer)

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Apply the layers in order."""
        return run_layers([layer for _, layer in self.named_children()], x)


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Gaussian of variance 2 / fan_in, which keeps activations' size under ReLU (1502.01852 §2.2).

    shape: (out, in, kh, kw) or (out, in); float32.
    """
    fan_in = np.prod(shape[1:])
    values = rng.standard_normal(shape, dtype=np.float32)
    values *= np.float32(np.sqrt(2.0 / fan_in))
    return values


class Conv2d(Module):
    """2-D convolution, atrous with ``dilation`` > 1: (N, C, H, W) -> (N, F, H', W').

    Weights start He-normal from ``rng``, biases at zero.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        shape = (out_channels, in_channels // groups, kernel_size, kernel_size)
        self.weight = Tensor(he_normal(shape, rng or np.random.default_rng()), requires_grad=True)
        self.bias = None
        if bias:
            self.bias = Tensor(np.zeros(out_channels, np.float32), requires_grad=True)

    def options(self) -> tuple:
        """Return what ``F.conv2d`` takes after its arrays."""
        return self.stride, self.padding, self.dilation, self.groups

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """(N, C, H, W) -> (N, F, H', W')."""
        return F.conv2d(x, self.weight, self.bias, *self.options())


class Linear(Module):
    """Fully connected layer: (N, C) -> (N, F)."""

    def __init__(
        self, in_features: int, out_features: int, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__()
        weight = he_normal((out_features, in_features), rng or np.random.default_rng())
        self.weight = Tensor(weight, requires_grad=True)
        self.bias = Tensor(np.zeros(out_features, np.float32), requires_grad=True)

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """(N, C) -> (N, F)."""
        return F.linear(x, self.weight, self.bias)


class BatchNorm2d(Module):
    """Batch normalisation over N, H and W (1502.03167); keeps running statistics for ``eval``."""

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = Tensor(np.ones(channels, np.float32), requires_grad=True)
        self.bias = Tensor(np.zeros(channels, np.float32), requires_grad=True)
        self.running_mean = np.zeros(channels, np.float32)
        self.running_var = np.ones(channels, np.float32)

    def arguments(self) -> tuple:
        """Return what ``F.batch_norm`` takes after its input."""
        statistics, affine = (self.running_mean, self.running_var), (self.weight, self.bias)
        return *statistics, *affine, self.training, self.momentum, self.eps

    def scale_and_shift(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (scale, shift), both (C,), of the inference formula x * scale + shift."""
        scale = self.weight.data / np.sqrt(self.running_var + np.float32(self.eps))
        return scale, self.bias.data - self.running_mean * scale

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """(N, C, H, W) -> the same shape."""
        return F.batch_norm(x, *self.arguments())


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Any shape -> the same shape."""
        return F.relu(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Any shape -> the same shape."""
        return F.sigmoid(x)


class MaxPool2d(Module):
    """Maximum over windows; ``ceil_mode=True`` sizes the output as Caffe does."""

    def __init__(
        self, kernel_size: int, stride: int, padding: int = 0, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        self.padding, self.ceil_mode = padding, ceil_mode

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """(N, C, H, W) -> (N, C, H', W')."""
        return F.max_pool2d(
            x, self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode
        )


class AvgPool2d(Module):
    """Mean over windows, the padding's zeros counted, as in Caffe."""

    def __init__(self, kernel_size: int, stride: int, padding: int = 0) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """(N, C, H, W) -> (N, C, H', W')."""
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding, count_include_pad=True)


class Dropout(Module):
    """Zero each value with probability ``p`` while training and scale the rest by 1 / (1 - p).

    Inside ``with F.dropout_rng(generator):`` the zeros are reproducible.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Any shape -> the same shape."""
        return F.dropout(x, self.p, self.training)


def run_layers(layers: Sequence[Module], x: Tensor | np.ndarray) -> Tensor | np.ndarray:
    """Apply layers to x (N, C, H, W) in order, a convolution or batch norm fused with its ReLU.

    When nothing is recorded, a batch norm in ``eval`` mode is fused with the convolution before it.
    """
    at = 0
    while at < len(layers):
        x, count = _run_first(layers[at : at + 3], x)
        at += count
    return x


def _run_first(layers: Sequence[Module], x: Tensor | np.ndarray) -> tuple[Tensor | np.ndarray, int]:
    """Apply the first layer and those fused with it; return the result and their number."""
    conv, norm, last = (*layers, None, None)[:3]
    if type(conv) is BatchNorm2d and type(norm) is ReLU:
        return batch_norm_relu(x, *conv.arguments()), 2
    if type(conv) is not Conv2d:
        return conv(x), 1
    if type(norm) is ReLU:
        return conv2d_relu(x, conv.weight, conv.bias, *conv.options()), 2
    constant = type(norm) is BatchNorm2d and not (norm.training or is_recording())
    if not constant or conv.bias is not None:
        return conv(x), 1
    scale, shift = norm.scale_and_shift()
    rectify = type(last) is ReLU
    options = (scale, shift, *conv.options())
    return conv2d_scaled(x, conv.weight, *options, rectify=rectify), 2 + rectify
