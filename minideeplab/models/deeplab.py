"""DeepLab on VGG-16 (arXiv 1606.00915): LargeFOV, ASPP-S and ASPP-L, layer for layer as released.

The trunk is VGG-16 with four changes by the authors: pooling windows are 3x3 with padding 1 and
Caffe's rounding up, pool4 and pool5 have stride 1, conv5 is atrous with rate 2, and so the
output stride is 8 instead of 32. fc6 is a 3x3 atrous convolution of 1024 filters (section 4.1.1);
the ASPP nets have four such branches and add their scores (section 3.2, figure 7).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from minideeplab.models.preprocessing import CAFFE
from minideeplab.models.vgg import BLOCKS, conv_block
from minideeplab.nn import AvgPool2d, Conv2d, Dropout, MaxPool2d, Module, ReLU, run_layers
from minideeplab.tensor import Tensor


@dataclasses.dataclass(frozen=True)
class Variant:
    """What tells the variants apart: fc6's kernel, rates (one a branch) and filters; pool5a."""

    rates: tuple[int, ...]
    pool5a: bool = False
    kernel: int = 3
    channels: int = 1024

    def scaled(self, width: float) -> Variant:
        """Return the same variant with ``width`` times the filters."""
        return dataclasses.replace(self, channels=round(self.channels * width))


VARIANTS = {
    "largefov": Variant(rates=(12,), pool5a=True),
    "aspp-s": Variant(rates=(2, 4, 8, 12)),
    "aspp-l": Variant(rates=(6, 12, 18, 24)),
}


def checked_variant(variant: str, num_classes: int) -> Variant:
    """Return one of ``VARIANTS``; ValueError for an unknown name or less than one class."""
    if variant not in VARIANTS:
        raise ValueError(f"variant: {variant!r}, expected one of {', '.join(VARIANTS)}")
    if num_classes < 1:
        raise ValueError(f"num_classes: {num_classes}, expected at least 1")
    return VARIANTS[variant]


def trunk(pool5a: bool, width: float, rng: np.random.Generator) -> dict[str, Module]:
    """Return conv1_1 ... pool5 (and pool5a): (N, 3, 8k+1, 8l+1) -> (N, 512, k+1, l+1)."""
    layers, in_channels = {}, 3
    for block, count, full_width in BLOCKS:
        channels = round(full_width * width)
        dilation = 2 if block == 5 else 1
        layers |= conv_block(block, count, in_channels, channels, dilation, rng)
        stride = 2 if block <= 3 else 1
        layers[f"pool{block}"] = MaxPool2d(3, stride=stride, padding=1, ceil_mode=True)
        in_channels = channels
    if pool5a:
        layers["pool5a"] = AvgPool2d(3, stride=1, padding=1)
    return layers


def branch(
    suffix: str,
    shape: Variant,
    rate: int,
    in_channels: int,
    num_classes: int,
    rng: np.random.Generator,
) -> dict[str, Module]:
    """Return fc6 -> fc7 -> fc8, one field of view: (N, 512, H, W) -> (N, num_classes, H, W)."""
    channels, padding = shape.channels, rate * (shape.kernel - 1) // 2
    fc8 = Conv2d(channels, num_classes, 1, rng=rng)
    fc8.weight.data[...] = 0.01 * rng.standard_normal(fc8.weight.shape)  # the authors' filler
    return {
        f"fc6{suffix}": Conv2d(
            in_channels, channels, shape.kernel, padding=padding, dilation=rate, rng=rng
        ),
        f"relu6{suffix}": ReLU(),
        f"drop6{suffix}": Dropout(0.5),
        f"fc7{suffix}": Conv2d(channels, channels, 1, rng=rng),
        f"relu7{suffix}": ReLU(),
        f"drop7{suffix}": Dropout(0.5),
        f"fc8{suffix}": fc8,
    }


class DeepLab(Module):
    """One of ``VARIANTS``: (N, 3, 8k+1, 8l+1) -> scores (N, num_classes, k+1, l+1).

    Upsampling the scores with ``align_corners=True`` to the input's size puts each of them on
    the pixel it was computed for: score (i, j) on pixel (8i, 8j). ``width`` scales the number of
    filters of every layer but fc8, for experiments on small machines.
    """

    output_stride = 8

    def __init__(
        self,
        variant: str,
        num_classes: int = 21,
        seed: int | np.random.Generator = 0,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        shape = checked_variant(variant, num_classes).scaled(width)
        rng = np.random.default_rng(seed)
        self.name, self.num_classes, self.preprocessing = variant, num_classes, CAFFE
        suffixes = [f"_{k}" for k in range(1, len(shape.rates) + 1)]
        if len(shape.rates) == 1:
            suffixes = [""]
        layers = trunk(shape.pool5a, width, rng)
        in_channels = round(BLOCKS[-1][2] * width)
        branches = [
            branch(suffix, shape, rate, in_channels, num_classes, rng)
            for suffix, rate in zip(suffixes, shape.rates, strict=True)
        ]
        for part in (layers, *branches):
            vars(self).update(part)  # flat, so that parameters have Caffe's names
        self.trunk = tuple(layers)
        self.branches = tuple(tuple(part) for part in branches)

    def _run(self, names: tuple[str, ...], x: Tensor | np.ndarray) -> Tensor:
        return run_layers([getattr(self, name) for name in names], x)

    def forward(self, x: Tensor | np.ndarray) -> Tensor:
        """(N, 3, H, W) preprocessed images -> (N, num_classes, H', W') scores."""
        features = self._run(self.trunk, x)
        scores = self._run(self.branches[0], features)
        for names in self.branches[1:]:
            scores = scores + self._run(names, features)
        return scores

    def last_layers(self) -> tuple[str, ...]:
        """Return the names of the layers of scores: fc8, or fc8_1 ... fc8_4."""
        return tuple(names[-1] for names in self.branches)
