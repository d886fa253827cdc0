"""Layers of networks, named and initialised as in ``torch.nn``."""

from minideeplab.nn.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
    he_normal,
    run_layers,
)
from minideeplab.nn.module import Module, evaluating

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Linear",
    "MaxPool2d",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "evaluating",
    "he_normal",
    "run_layers",
]
