"""Convert a ResNet-101 of Caffe or torchvision to the names and input of the authors' DeepLab.

Caffe keeps a batch norm in two layers, ``bn2a_branch2a`` (statistics) and ``scale2a_branch2a``
(gain and offset); here both are ``bn2a_branch2a``. The released DeepLab calls its scores
``fc1_voc12_c0`` ... ``c3``; here ``fc1_c0`` ... ``c3``.

torchvision counts blocks: ``layer3.22.conv2`` is ``res4b22_branch2b``. Its input is RGB, scaled
(see :mod:`minideeplab.weights.vgg`); conv1 has no bias to fold the means into, so they move the
statistics of the norm behind it. Its res3 strides in the 3x3 convolution: the network that computes
the same is ``models.DeepLabResNet(stride_in_3x3=True)``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from minideeplab.models.resnet import blocks
from minideeplab.weights.state import StateDict
from minideeplab.weights.vgg import NORM, fold_input

TORCHVISION_MARK = "layer1.0.conv1.weight"
TORCHVISION_BRANCHES = {
    "branch2a": ("conv1", "bn1"),
    "branch2b": ("conv2", "bn2"),
    "branch2c": ("conv3", "bn3"),
    "branch1": ("downsample.0", "downsample.1"),
}


def resnet101_state(state: Mapping[str, np.ndarray]) -> StateDict:
    """Return a ResNet-101, or a DeepLab made from one, with ``models.DeepLabResNet``'s names.

    state: from :func:`~minideeplab.weights.load`, or any dict of arrays with the usual names.
    Returns float32 arrays, ``conv1.weight`` ... ``bn5c_branch2c.running_var``, and those of
    ``fc1`` or ``fc1_c0`` ... where there are such; a classifier of ImageNet is left out. Raises
    ValueError when layers of the trunk are missing, naming them.
    """
    marks = [name for name in state if name.endswith(TORCHVISION_MARK)]
    if marks:
        found = _from_torchvision(state, marks[0].removesuffix(TORCHVISION_MARK))
    else:
        found = {_caffe_name(name): array for name, array in state.items()}
    missing = [name for name in trunk_names() if name not in found]
    if missing:
        some = ", ".join(missing[:4]) + (" ..." if len(missing) > 4 else "")
        raise ValueError(f"the weights are not a ResNet-101: {len(missing)} missing, {some}")
    heads = [name for name in found if re.fullmatch(r"fc1(_c\d)?\.(weight|bias)", name)]
    arrays = {name: np.asarray(found[name], np.float32) for name in (*trunk_names(), *heads)}
    return StateDict(arrays, origin="caffe")


def trunk_names() -> list[str]:
    """Return the names of the trunk's 520 arrays: of 104 convolutions and their norms."""
    pairs = [("conv1", "bn_conv1")]
    for name, _, index in blocks():
        branches = ("branch2a", "branch2b", "branch2c") + (() if index else ("branch1",))
        pairs += [(f"res{name}_{branch}", f"bn{name}_{branch}") for branch in branches]
    return [
        full for conv, norm in pairs for full in (f"{conv}.weight", *(f"{norm}.{k}" for k in NORM))
    ]


def _caffe_name(name: str) -> str:
    name = re.sub(r"^scale(?=_conv1\.|\d)", "bn", name)
    return re.sub(r"^fc1_[A-Za-z]\w*?(_c\d)?\.", r"fc1\1.", name)


def _from_torchvision(state: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    layers = {f"{prefix}conv1": "conv1", f"{prefix}bn1": "bn_conv1"}
    for name, stage, index in blocks():
        block = f"{prefix}layer{stage.number - 1}.{index}"
        for branch, (conv, norm) in TORCHVISION_BRANCHES.items():
            layers[f"{block}.{conv}"] = f"res{name}_{branch}"
            layers[f"{block}.{norm}"] = f"bn{name}_{branch}"
    found = {}
    for name, array in state.items():
        layer, _, what = name.rpartition(".")
        if layer in layers:
            found[f"{layers[layer]}.{what}"] = array
    if "conv1.weight" in found and "bn_conv1.running_mean" in found:
        weight, mean = found["conv1.weight"], found["bn_conv1.running_mean"]
        found["conv1.weight"], shift = fold_input(weight, np.zeros(len(weight)))
        found["bn_conv1.running_mean"] = mean - shift
    return found
