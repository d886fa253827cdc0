"""Our networks run by torch, from the same modules and weights, as the competitor to time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as T

from minideeplab import nn
from minideeplab.bench.timing import training_step
from minideeplab.models.deeplab import DeepLab
from minideeplab.models.small import ASPP, DeepLabSmall, Residual


class TorchNetwork:
    """A network of ours computed by torch: ``network(x)`` is (N, num_classes, H', W') scores."""

    def __init__(self, net: nn.Module, memory_format: torch.memory_format, device: str = "cpu"):
        self.net, self.memory_format, self.device = net, memory_format, device
        self.weights = {
            id(parameter): self.tensor(parameter.data).requires_grad_()
            for parameter in net.parameters()
        }

    def run_on(self, images: Any, labels: Any, training: bool) -> Callable[[], Any]:
        """Return a function that runs a forward pass, or an SGD step with the labels."""
        x, target = self.tensor(images), self.tensor(labels)
        if training:
            optimizer = torch.optim.SGD(self.weights.values(), 1e-4, 0.9, weight_decay=5e-4)
            loss = lambda: T.cross_entropy(self(x), target)  # noqa: E731
            return training_step(optimizer.zero_grad, loss, optimizer.step)

        def forward() -> torch.Tensor:
            with torch.no_grad():
                return self(x)

        return forward

    def tensor(self, array: Any) -> torch.Tensor:
        """Return a copy of an array as a tensor on this network's device, in its memory format."""
        tensor = torch.tensor(array, device=self.device)
        return tensor.contiguous(memory_format=self.memory_format) if tensor.ndim == 4 else tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) -> (N, num_classes, H', W')."""
        return self.run(self.net, x)

    def run(self, module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Compute a module of these networks."""
        for kind, function in _FUNCTIONS.items():
            if isinstance(module, kind):
                return function(self, module, x)
        raise TypeError(f"module: {type(module).__name__}, expected one that TorchNetwork supports")

    def chain(self, modules: Iterable[nn.Module], x: torch.Tensor) -> torch.Tensor:
        """Compute modules one after the other."""
        for module in modules:
            x = self.run(module, x)
        return x

    def weight(self, parameter: Any) -> torch.Tensor | None:
        """Return torch's copy of a parameter."""
        return None if parameter is None else self.weights[id(parameter)]


def _children(module: nn.Module) -> list[nn.Module]:
    return [child for _, child in module.named_children()]


def _batch_norm(t: TorchNetwork, m: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    mean, var = t.tensor(m.running_mean), t.tensor(m.running_var)
    weight, bias = t.weight(m.weight), t.weight(m.bias)
    return T.batch_norm(x, mean, var, weight, bias, m.training, m.momentum, m.eps)


def _aspp(t: TorchNetwork, m: ASPP, x: torch.Tensor) -> torch.Tensor:
    return t.chain((m.drop, m.join), torch.cat([t.run(b, x) for b in _children(m.branches)], 1))


def _deeplab(t: TorchNetwork, m: DeepLab, x: torch.Tensor) -> torch.Tensor:
    x = t.chain([getattr(m, name) for name in m.trunk], x)
    scores = [t.chain([getattr(m, name) for name in names], x) for names in m.branches]
    return sum(scores[1:], scores[0])


def _deeplab_small(t: TorchNetwork, m: DeepLabSmall, x: torch.Tensor) -> torch.Tensor:
    fine = t.run(m.fine, x)
    context = t.chain((m.coarse, m.aspp), fine)
    context = T.interpolate(context, fine.shape[2:], mode="bilinear", align_corners=True)
    joined = T.relu(context + t.run(m.detail, fine))
    return t.chain((m.refine, m.score), joined)


_FUNCTIONS: dict[type, Callable[[TorchNetwork, Any, torch.Tensor], torch.Tensor]] = {
    DeepLab: _deeplab,
    DeepLabSmall: _deeplab_small,
    Residual: lambda t, m, x: T.relu(t.chain((m.first, m.conv, m.bn), x) + x),
    ASPP: _aspp,
    nn.Sequential: lambda t, m, x: t.chain(_children(m), x),
    nn.Conv2d: lambda t, m, x: T.conv2d(
        x, t.weight(m.weight), t.weight(m.bias), m.stride, m.padding, m.dilation, m.groups
    ),
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: lambda t, m, x: T.relu(x),
    nn.MaxPool2d: lambda t, m, x: T.max_pool2d(
        x, m.kernel_size, m.stride, m.padding, ceil_mode=m.ceil_mode
    ),
    nn.AvgPool2d: lambda t, m, x: T.avg_pool2d(x, m.kernel_size, m.stride, m.padding),
    nn.Dropout: lambda t, m, x: T.dropout(x, m.p, m.training),
}
"""How torch computes each kind of module, subclasses first."""
