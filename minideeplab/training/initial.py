"""Initial weights from files made for other networks, such as ImageNet classifiers."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from minideeplab import weights
from minideeplab.models import DeepLab, DeepLabResNet
from minideeplab.nn import Module


def load_initial(net: Module, path: str | os.PathLike[str]) -> str:
    """Copy the arrays that fit from a weight file into ``net``; return a sentence naming them.

    ``path`` may also be the name of an official file, as in ``minideeplab convert``.
    For the VGG nets, a VGG-16 of any framework is cut to DeepLab's shape first; for ResNet-101,
    Caffe's and torchvision's names are understood. Layers of other shapes, such as a
    classifier of other classes, keep their random weights. Raises ValueError when nothing fits,
    or when a VGG-16 or ResNet-101 is incomplete.
    """
    state, own = weights.load(weights.locate(path)), net.state_dict()
    if isinstance(net, DeepLab) and not _fitting(state, own):
        state = weights.vgg16_to_deeplab(state, net.name, net.num_classes)
    elif isinstance(net, DeepLabResNet) and "bn_conv1.weight" not in state:
        state = weights.resnet101_state(state)
    fits = _fitting(state, own)
    if not fits:
        raise ValueError(f"{path}: no array fits the network {net.name!r}")
    net.load_state_dict(fits, strict=False)
    new = getattr(state, "fresh", ())  # layers that no file had
    fresh = [name for name in own if name not in fits or name.rpartition(".")[0] in new]
    text = f"{path}: {len(own) - len(fresh)} of {len(own)} arrays loaded"
    return f"{text}; starting afresh: {', '.join(fresh)}" if fresh else text


def _fitting(
    state: Mapping[str, np.ndarray], own: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    return {k: v for k, v in state.items() if k in own and np.shape(v) == own[k].shape}
