"""Thin layers: each holds its parameters and calls one operation of ``minideeplab.functional``.

What a module owns is read off its attributes, in the order in which they were set: a ``Tensor``
is a parameter, a plain array is a buffer (state that is not trained), a ``Module`` is a child.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minideeplab import functional as F
from minideeplab.arrays import is_array, like
from minideeplab.backends.registry import to
from minideeplab.tensor import Tensor


class Module:
    """Base of every layer and network; ``module(x)`` runs ``forward``."""

    def __init__(self) -> None:
        self.training = True

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Compute the module's output; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Run ``forward``."""
        return self.forward(x)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (attribute name, module) for each module held directly by this one."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def modules(self) -> Iterator[Module]:
        """Yield this module and every module below it."""
        yield self
        for _, child in self.named_children():
            yield from child.modules()

    def _named(self, kind: Callable[[Any], bool], prefix: str = "") -> Iterator[tuple[str, Any]]:
        for name, value in vars(self).items():
            if kind(value):
                yield prefix + name, value
            elif isinstance(value, Module):
                yield from value._named(kind, f"{prefix}{name}.")

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield (dotted name, tensor) for every trained tensor."""
        return self._named(lambda value: isinstance(value, Tensor))

    def parameters(self) -> Iterator[Tensor]:
        """Yield every trained tensor."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (dotted name, array) for the state that is kept but not trained."""
        return self._named(is_array)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return parameters and buffers by name: the arrays themselves, not copies."""
        state = {name: parameter.data for name, parameter in self.named_parameters()}
        return state | dict(self.named_buffers())

    def load_state_dict(self, state: Mapping[str, np.ndarray], strict: bool = True) -> None:
        """Copy arrays of the same names and shapes into this module, in place.

        Values are cast to this module's dtype. With ``strict=False`` missing and unexpected
        names are passed over; a shape that differs is always an error. Nothing is copied
        unless everything fits. Raises ValueError listing every mismatch, one layer a line.
        """
        own = self.state_dict()
        problems = [
            f"{name}: shape {np.shape(state[name])} in the weights, {array.shape} in the network"
            for name, array in own.items()
            if name in state and np.shape(state[name]) != array.shape
        ]
        if strict:
            problems += [f"{name}: missing from the weights" for name in own if name not in state]
            problems += [f"{name}: not in the network" for name in state if name not in own]
        if problems:
            lines = "\n  ".join(problems)
            raise ValueError(f"weights do not fit {type(self).__name__}:\n  {lines}")
        for name, array in own.items():
            if name in state:
                array[...] = like(array, state[name])

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode: bool = True) -> Module:
        """Use batch statistics and dropout (``mode=True``) or not; returns the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Use running statistics and no dropout; returns the module."""
        return self.train(False)

    def astype(self, dtype: np.typing.DTypeLike) -> Module:
        """Convert all parameters and buffers to float32 or float64; returns the module."""
        return self._replace(lambda array: array.astype(dtype))

    def to(self, device: str) -> Module:
        """Move all parameters and buffers to "cpu" or "cuda"; returns the module.

        They are new tensors: move a network before an optimiser is made for it.
        """
        return self._replace(lambda array: to(array, device))

    def _replace(self, change: Callable[[np.ndarray], np.ndarray]) -> Module:
        """Put ``change(array)`` in the place of every parameter and buffer."""
        for module in self.modules():
            for name, value in list(vars(module).items()):
                if isinstance(value, Tensor):
                    setattr(module, name, Tensor(change(value.data), value.requires_grad))
                elif is_array(value):
                    setattr(module, name, change(value))
        return self


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
        from minideeplab.fusion import run  # which knows the layers of this file

        return run([layer for _, layer in self.named_children()], x)


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

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """(N, C, H, W) -> (N, F, H', W')."""
        return F.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


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

    def scale_and_shift(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what inference amounts to, x * scale + shift: two arrays (C,)."""
        scale = self.weight.data / np.sqrt(self.running_var + np.float32(self.eps))
        return scale, self.bias.data - self.running_mean * scale

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """(N, C, H, W) -> the same shape."""
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Any shape -> the same shape."""
        return F.relu(x)


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

    Inside ``with F.dropout_rng(generator):`` the zeros can be repeated.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Any shape -> the same shape."""
        return F.dropout(x, self.p, self.training)


def __getattr__(name: str) -> Any:
    if name == "CRFasRNN":  # in its own file, which builds on this one
        from minideeplab.crf.layer import CRFasRNN

        return CRFasRNN
    raise AttributeError(f"module 'minideeplab.nn' has no attribute {name!r}")
