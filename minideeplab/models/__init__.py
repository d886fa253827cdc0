"""The networks, by function (``deeplab``, ``deeplab_small``, ``vgg16``) and by name (``build``)."""

from __future__ import annotations

import os

import numpy as np

from minideeplab.budget import one_line
from minideeplab.models.deeplab import VARIANTS, DeepLab
from minideeplab.models.description import check_description
from minideeplab.models.files import read_weights, save_weights
from minideeplab.models.preprocessing import CAFFE, IMAGENET, Preprocessing
from minideeplab.models.resnet import DeepLabResNet
from minideeplab.models.small import DeepLabSmall, deeplab_small
from minideeplab.models.vgg import VGG16, vgg16
from minideeplab.nn import Module

__all__ = [
    "CAFFE", "IMAGENET", "NAMES", "VARIANTS", "VGG16", "DeepLab", "DeepLabResNet", "DeepLabSmall",
    "Preprocessing", "build", "deeplab", "deeplab_small", "from_checkpoint", "save_weights",
    "vgg16",
]  # fmt: skip

#: Names of the segmentation networks, as in ``minideeplab train --model``.
NAMES = ("small", *VARIANTS, *(f"resnet101-{variant}" for variant in VARIANTS))


def deeplab(
    variant: str = "largefov",
    backbone: str = "vgg16",
    num_classes: int = 21,
    seed: int | np.random.Generator = 0,
) -> Module:
    """Build a DeepLab: ``variant`` is "largefov", "aspp-s" or "aspp-l".

    On the ``backbone`` "vgg16" and with 21 classes LargeFOV has 20,505,429 parameters and the
    ASPP nets 37,877,652; on "resnet101" ASPP-L trains 43,943,188. Weights are He-normal (the
    scores': Gaussian of 0.01) until ``load_state_dict``.
    """
    if backbone == "vgg16":
        return DeepLab(variant, num_classes, seed)
    if backbone == "resnet101":
        return DeepLabResNet(variant, num_classes, seed)
    raise ValueError(f"backbone: {backbone!r}, expected 'vgg16' or 'resnet101'")


def build(name: str, num_classes: int, seed: int | np.random.Generator = 0) -> Module:
    """Build one of ``NAMES`` with freshly initialised weights."""
    if name not in NAMES:
        raise ValueError(f"model: {name!r}, expected one of {', '.join(NAMES)}")
    if name == "small":
        return deeplab_small(num_classes, seed)
    backbone = "resnet101" if name.startswith("resnet101-") else "vgg16"
    return deeplab(name.removeprefix("resnet101-"), backbone, num_classes, seed)


def from_checkpoint(path: str | os.PathLike[str]) -> Module:
    """Rebuild a network from a weight file of ours, ready for use (``eval``).

    ``net.meta`` is the file's description: "model", "num_classes", "classes", "palette",
    "preprocessing", "training". Raises FileNotFoundError or ValueError (not our file, wrong
    shapes).
    """
    try:
        state, meta = read_weights(path)
    except ValueError as error:
        advice = "other frameworks' weights: minideeplab convert FILE NEW.npz --to largefov"
        raise ValueError(f"{error}; {advice}") from error
    if any(name.startswith("optimizer/") for name in state):
        raise ValueError(f"{path}: a checkpoint of training; pass the weights.npz beside it")
    try:
        check_description(meta, state)
        preprocessing = Preprocessing(**meta["preprocessing"]) if "preprocessing" in meta else None
        net = build(meta["model"], meta["num_classes"])
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {one_line(error)}") from None
    net.preprocessing = preprocessing or net.preprocessing
    net.load_state_dict(state)
    net.meta = meta
    return net.eval()
