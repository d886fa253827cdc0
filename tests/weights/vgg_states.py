"""VGG-16 in the names and layouts of each framework, for tests: small in memory.

Arrays that a test does not look into are one number, broadcast.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minideeplab.weights.vgg import CONVOLUTIONS, trunk_shapes

TORCHVISION_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
TORCHVISION_BN_CONVOLUTIONS = (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40)
HEADS = {"fc6": (4096, 25088), "fc7": (4096, 4096), "fc8": (1000, 4096)}


def constant(value: float, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(np.float32(value), shape)


def caffe(**layers: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    """Every array of VGG-16 under Caffe's names; ``layers`` gives some their weight and bias."""
    state = {name: constant(i + 1, shape) for i, (name, shape) in enumerate(trunk_shapes().items())}
    for i, (name, shape) in enumerate(HEADS.items()):
        state[f"{name}.weight"] = constant(100 + i, shape)
        state[f"{name}.bias"] = constant(200 + i, shape[:1])
    for name, (weight, bias) in layers.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = weight, bias
    return state


def renamed(state: Mapping[str, np.ndarray], layers: Mapping[str, str]) -> dict[str, np.ndarray]:
    names = {name: name.split(".") for name in state}
    return {f"{layers[layer]}.{what}": state[name] for name, (layer, what) in names.items()}


def torchvision_names(convolutions: tuple[int, ...] = TORCHVISION_CONVOLUTIONS) -> dict[str, str]:
    features = {name: f"features.{n}" for name, n in zip(CONVOLUTIONS, convolutions, strict=True)}
    return features | {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}


def keras_names() -> dict[str, str]:
    blocks = {name: f"block{name[4]}_conv{name[6]}" for name in CONVOLUTIONS}
    return blocks | {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}


def keras_3_names() -> dict[str, str]:
    counted = {name: f"conv2d_{i}" if i else "conv2d" for i, name in enumerate(CONVOLUTIONS)}
    return counted | {"fc6": "dense", "fc7": "dense_1", "fc8": "dense_2"}
