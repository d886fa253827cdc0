"""Our networks run by torch, from the same modules and weights, as the competitor to time."""

from __future__ import annotations

from collections.abc import Callable
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
        return getattr(self, f"_{_kind(module)}")(module, x)

    def weight(self, parameter: Any) -> torch.Tensor | None:
        """Return torch's copy of a parameter."""
        return None if parameter is None else self.weights[id(parameter)]

    def _Conv2d(self, m, x):
        weight, bias = self.weight(m.weight), self.weight(m.bias)
        return T.conv2d(x, weight, bias, m.stride, m.padding, m.dilation, m.groups)

    def _BatchNorm2d(self, m, x):
        mean, var = self.tensor(m.running_mean), self.tensor(m.running_var)
        weight, bias = self.weight(m.weight), self.weight(m.bias)
        return T.batch_norm(x, mean, var, weight, bias, m.training, m.momentum, m.eps)

    def _ReLU(self, m, x):
        return T.relu(x)

    def _MaxPool2d(self, m, x):
        return T.max_pool2d(x, m.kernel_size, m.stride, m.padding, ceil_mode=m.ceil_mode)

    def _AvgPool2d(self, m, x):
        return T.avg_pool2d(x, m.kernel_size, m.stride, m.padding, count_include_pad=True)

    def _Dropout(self, m, x):
        return T.dropout(x, m.p, m.training)

    def _Sequential(self, m, x):
        for _, child in m.named_children():
            x = self.run(child, x)
        return x

    def _Residual(self, m, x):
        return T.relu(self.run(m.bn, self.run(m.conv, self.run(m.first, x))) + x)

    def _ASPP(self, m, x):
        views = [self.run(branch, x) for _, branch in m.branches.named_children()]
        return self.run(m.join, self.run(m.drop, torch.cat(views, 1)))

    def _DeepLab(self, m, x):
        for name in m.trunk:
            x = self.run(getattr(m, name), x)
        scores = []
        for names in m.branches:
            y = x
            for name in names:
                y = self.run(getattr(m, name), y)
            scores.append(y)
        return sum(scores[1:], scores[0])

    def _DeepLabSmall(self, m, x):
        fine = self.run(m.fine, x)
        context = self.run(m.aspp, self.run(m.coarse, fine))
        context = T.interpolate(context, fine.shape[2:], mode="bilinear", align_corners=True)
        joined = T.relu(context + self.run(m.detail, fine))
        return self.run(m.score, self.run(m.refine, joined))


_KINDS = (
    DeepLab, DeepLabSmall, Residual, ASPP, nn.Sequential, nn.Conv2d, nn.BatchNorm2d, nn.ReLU,
    nn.MaxPool2d, nn.AvgPool2d, nn.Dropout,
)  # fmt: skip


def _kind(module: nn.Module) -> str:
    for kind in _KINDS:
        if isinstance(module, kind):
            return kind.__name__
    raise TypeError(f"module: {type(module).__name__}, expected one that TorchNetwork supports")
