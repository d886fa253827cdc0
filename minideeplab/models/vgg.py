"""VGG-16 (arXiv 1409.1556, table 1, column D), with Caffe's layer names."""

from __future__ import annotations

import numpy as np

from minideeplab import functional as F
from minideeplab.models.preprocessing import CAFFE
from minideeplab.nn import Conv2d, Dropout, Linear, MaxPool2d, Module, ReLU
from minideeplab.tensor import Tensor

#: (block, convolutions in it, channels): thirteen 3x3 convolutions, each followed by ReLU.
BLOCKS = ((1, 2, 64), (2, 2, 128), (3, 3, 256), (4, 3, 512), (5, 3, 512))


def conv_block(
    block: int,
    count: int,
    in_channels: int,
    channels: int,
    dilation: int,
    rng: np.random.Generator,
) -> dict[str, Module]:
    """Return conv{block}_1, relu{block}_1, ...: 3x3 convolutions that keep the size."""
    layers: dict[str, Module] = {}
    for i in range(1, count + 1):
        layers[f"conv{block}_{i}"] = Conv2d(
            in_channels, channels, 3, padding=dilation, dilation=dilation, rng=rng
        )
        layers[f"relu{block}_{i}"] = ReLU()
        in_channels = channels
    return layers


class VGG16(Module):
    """The classifier: (N, 3, 224, 224) -> (N, num_classes) scores.

    Other sizes of at least 32 pixels are accepted: pool5 is averaged or repeated to 7x7 as in
    torchvision.
    """

    def __init__(self, num_classes: int = 1000, seed: int | np.random.Generator = 0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.num_classes, self.preprocessing = num_classes, CAFFE
        layers, in_channels = {}, 3
        for block, count, channels in BLOCKS:
            layers |= conv_block(block, count, in_channels, channels, 1, rng)
            layers[f"pool{block}"] = MaxPool2d(2, stride=2)
            in_channels = channels
        self.trunk = tuple(layers)
        vars(self).update(layers)
        self.fc6 = Linear(512 * 7 * 7, 4096, rng)
        self.drop6 = Dropout(0.5)
        self.fc7 = Linear(4096, 4096, rng)
        self.drop7 = Dropout(0.5)
        self.fc8 = Linear(4096, num_classes, rng)

    def forward(self, x: Tensor | np.ndarray) -> Tensor:
        """(N, 3, H, W) preprocessed images -> (N, num_classes)."""
        for name in self.trunk:
            x = getattr(self, name)(x)
        x = F.adaptive_avg_pool2d(x, 7)
        x = x.reshape(x.shape[0], 512 * 7 * 7)
        x = self.drop6(F.relu(self.fc6(x)))
        x = self.drop7(F.relu(self.fc7(x)))
        return self.fc8(x)


def vgg16(num_classes: int = 1000, seed: int | np.random.Generator = 0) -> VGG16:
    """Build VGG-16 with He-initialised weights: 138,357,544 parameters for 1000 classes."""
    return VGG16(num_classes, seed)
