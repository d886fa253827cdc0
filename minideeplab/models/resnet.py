"""DeepLab on ResNet-101 (arXiv 1606.00915, section 4.1.2), with the names of the authors' release.

The trunk is ResNet-101 (1512.03385, table 1) as published for Caffe: a block that changes
resolution does so in its first 1x1 convolution. res4 and res5 keep res3's resolution and are
atrous with rates 2 and 4, so the output stride is 8. Batch normalisation is frozen: it applies the
statistics, gains and offsets that came with the weights and is never trained. The head scores
2048 features directly, one atrous 3x3 convolution for each rate, and adds the scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minideeplab import functional as F
from minideeplab.models.deeplab import checked_variant
from minideeplab.models.preprocessing import CAFFE
from minideeplab.nn import Conv2d, MaxPool2d, Module
from minideeplab.tensor import Tensor


class Stage(NamedTuple):
    """A row of the table: res{number}, its blocks, their inner channels, first stride and rate."""

    number: int
    blocks: int
    channels: int
    stride: int
    rate: int


STAGES = (
    Stage(2, blocks=3, channels=64, stride=1, rate=1),
    Stage(3, blocks=4, channels=128, stride=2, rate=1),
    Stage(4, blocks=23, channels=256, stride=1, rate=2),
    Stage(5, blocks=3, channels=512, stride=1, rate=4),
)
PIXEL_SCALE = 64.0  # about the deviation of Caffe's pixels, which random weights start from
EXPANSION = 4  # a block's output has four times its inner channels


def blocks() -> Iterator[tuple[str, Stage, int]]:
    """Yield (name, stage, index in it) of the 33 blocks: 2a 2b 2c 3a 3b1 3b2 3b3 4a 4b1 ... 5c.

    The names are Caffe's: letters in the stages of three blocks, numbers in the longer ones.
    """
    for stage in STAGES:
        later = "bc" if stage.blocks == 3 else [f"b{i}" for i in range(1, stage.blocks)]
        for index, ending in enumerate(["a", *later]):
            yield f"{stage.number}{ending}", stage, index


class FrozenBatchNorm2d(Module):
    """Batch normalisation by given statistics, in training too: all four arrays are buffers."""

    def __init__(self, channels: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = np.full(channels, gain, np.float32)
        self.bias = np.zeros(channels, np.float32)
        self.running_mean = np.zeros(channels, np.float32)
        self.running_var = np.ones(channels, np.float32)

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """(N, C, H, W) -> the same shape."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


class DeepLabResNet(Module):
    """ResNet-101 DeepLab: (N, 3, 8k+1, 8l+1) -> scores (N, num_classes, k+1, l+1).

    ``variant`` gives the head's rates, as in ``deeplab.VARIANTS``. ``stride_in_3x3`` moves res3's
    stride from the 1x1 to the 3x3 convolution, where torchvision's weights expect it. ``width``
    scales the number of filters of every layer but the head, for small machines.
    """

    output_stride = 8

    def __init__(
        self,
        variant: str = "aspp-l",
        num_classes: int = 21,
        seed: int | np.random.Generator = 0,
        width: float = 1.0,
        stride_in_3x3: bool = False,
    ) -> None:
        super().__init__()
        rates = checked_variant(variant, num_classes).rates
        rng = np.random.default_rng(seed)
        self.name, self.num_classes, self.preprocessing = f"resnet101-{variant}", num_classes, CAFFE
        channels = round(64 * width)
        self.conv1 = Conv2d(3, channels, 7, stride=2, padding=3, bias=False, rng=rng)
        self.bn_conv1 = FrozenBatchNorm2d(channels, gain=1 / PIXEL_SCALE)
        self.pool1 = MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        for name, stage, index in blocks():
            inner, stride = round(stage.channels * width), 1 if index else stage.stride
            strides = (1, stride) if stride_in_3x3 else (stride, 1)
            layers = bottleneck(name, channels, inner, strides, stage.rate, rng)
            vars(self).update(layers)  # flat, so that parameters have Caffe's names
            channels = EXPANSION * inner
        self.head = tuple(f"fc1_c{k}" for k in range(len(rates))) if len(rates) > 1 else ("fc1",)
        for name, rate in zip(self.head, rates, strict=True):
            setattr(self, name, score_layer(channels, num_classes, rate, rng))

    def _block(self, name: str, x: Tensor) -> Tensor:
        """relu(x + branch2(x)); a stage's first block projects x to the new shape."""
        inner = F.relu(self._normed(f"{name}_branch2a", x))
        inner = F.relu(self._normed(f"{name}_branch2b", inner))
        inner = self._normed(f"{name}_branch2c", inner)
        shortcut = self._normed(f"{name}_branch1", x) if name.endswith("a") else x
        return F.relu(shortcut + inner)

    def _normed(self, name: str, x: Tensor) -> Tensor:
        return getattr(self, f"bn{name}")(getattr(self, f"res{name}")(x))

    def forward(self, x: Tensor | np.ndarray) -> Tensor:
        """(N, 3, H, W) preprocessed images -> (N, num_classes, H', W') scores."""
        x = self.pool1(F.relu(self.bn_conv1(self.conv1(x))))  # (N, 64, H/4, W/4)
        for name, _, _ in blocks():
            x = self._block(name, x)
        scores = getattr(self, self.head[0])(x)
        for name in self.head[1:]:
            scores = scores + getattr(self, name)(x)
        return scores

    def last_layers(self) -> tuple[str, ...]:
        """Return the names of the layers of scores: fc1, or fc1_c0 ... fc1_c3."""
        return self.head


def bottleneck(
    name: str,
    in_channels: int,
    inner: int,
    strides: tuple[int, int],
    rate: int,
    rng: np.random.Generator,
) -> dict[str, Module]:
    """Return a block's layers: 1x1, atrous 3x3, 1x1, and the projection of a first block.

    ``strides`` are those of the first two convolutions. Each is followed by its frozen norm; the
    last norm's gain starts small, so that random weights do not grow over 33 blocks.
    """
    out_channels = EXPANSION * inner
    first, second = strides
    convs = {
        "branch2a": Conv2d(in_channels, inner, 1, first, bias=False, rng=rng),
        "branch2b": Conv2d(inner, inner, 3, second, rate, rate, bias=False, rng=rng),
        "branch2c": Conv2d(inner, out_channels, 1, bias=False, rng=rng),
    }
    if name.endswith("a"):
        stride = first * second
        convs["branch1"] = Conv2d(in_channels, out_channels, 1, stride, bias=False, rng=rng)
    layers: dict[str, Module] = {}
    for branch, conv in convs.items():
        gain = sum(stage.blocks for stage in STAGES) ** -0.5 if branch == "branch2c" else 1.0
        layers[f"res{name}_{branch}"] = conv
        layers[f"bn{name}_{branch}"] = FrozenBatchNorm2d(conv.weight.shape[0], gain)
    return layers


def score_layer(in_channels: int, num_classes: int, rate: int, rng: np.random.Generator) -> Conv2d:
    """Return a 3x3 atrous convolution to scores, Gaussian of 0.01 as the authors' filler."""
    layer = Conv2d(in_channels, num_classes, 3, padding=rate, dilation=rate, rng=rng)
    layer.weight.data[...] = 0.01 * rng.standard_normal(layer.weight.shape)
    return layer
