"""A small DeepLab for training from scratch on a laptop: 1.8 M parameters, 2.9 GMAC at 241x321.

The ideas are the paper's: output stride 8 with atrous convolution instead of further
subsampling, and atrous spatial pyramid pooling. Three things differ from the VGG nets. The
first convolution is strided, since VGG spends most of its time at full resolution. Batch
normalisation and identity shortcuts make it train without ImageNet weights. And since the poles
and signs of street scenes are thinner than 8 pixels, features of stride 4 join before the scores.
"""

from __future__ import annotations

import numpy as np

from minideeplab import functional as F
from minideeplab.models.preprocessing import IMAGENET
from minideeplab.nn import BatchNorm2d, Conv2d, Dropout, Module, ReLU, Sequential, run_layers
from minideeplab.tensor import Tensor


class ConvBNReLU(Sequential):
    """Convolution that keeps the size (or halves it, stride 2), batch norm, ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        rng: np.random.Generator | None = None,
    ) -> None:
        padding = dilation * (kernel_size // 2)
        super().__init__(
            conv=Conv2d(
                in_channels,
                out_channels,
                kernel_size,
                stride,
                padding,
                dilation,
                bias=False,
                rng=rng,
            ),
            bn=BatchNorm2d(out_channels),
            relu=ReLU(),
        )


def conv_bn(in_channels: int, out_channels: int, rng: np.random.Generator) -> Sequential:
    """1x1 convolution and batch norm: (N, C, H, W) -> (N, F, H, W), not rectified."""
    return Sequential(
        conv=Conv2d(in_channels, out_channels, 1, bias=False, rng=rng),
        bn=BatchNorm2d(out_channels),
    )


class Residual(Module):
    """Two 3x3 convolutions of the same rate around an identity shortcut (arXiv 1512.03385)."""

    def __init__(self, channels: int, dilation: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.first = ConvBNReLU(channels, channels, dilation=dilation, rng=rng)
        self.conv = Conv2d(channels, channels, 3, 1, dilation, dilation, bias=False, rng=rng)
        self.bn = BatchNorm2d(channels)

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """(N, C, H, W) -> the same shape."""
        return F.relu(run_layers([self.conv, self.bn], self.first(x)) + x)


class ASPP(Module):
    """Atrous spatial pyramid pooling (section 3.2): one 3x3 branch a rate, joined by a 1x1.

    The joined features are normalised but not rectified, because others are added to them next.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        rates: tuple[int, ...],
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self.branches = Sequential(
            *(ConvBNReLU(in_channels, channels, dilation=rate, rng=rng) for rate in rates)
        )
        self.drop = Dropout(0.1)
        self.join = conv_bn(channels * len(rates), channels, rng)

    def forward(self, x: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """(N, C, H, W) -> (N, channels, H, W)."""
        views = [branch(x) for _, branch in self.branches.named_children()]
        return self.join(self.drop(F.cat(views, 1)))


class DeepLabSmall(Module):
    """(N, 3, 8k+1, 8l+1) -> scores (N, num_classes, 2k+1, 2l+1): output stride 4.

    Upsampling the scores with ``align_corners=True`` to the input's size puts score (i, j) on
    pixel (4i, 4j). Other sizes are accepted and rounded up.
    """

    output_stride = 4
    name = "small"

    def __init__(self, num_classes: int = 11, seed: int | np.random.Generator = 0) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes: {num_classes}, expected at least 1")
        rng = np.random.default_rng(seed)
        self.num_classes, self.preprocessing = num_classes, IMAGENET
        self.fine = Sequential(
            ConvBNReLU(3, 32, stride=2, rng=rng),
            ConvBNReLU(32, 32, rng=rng),
            ConvBNReLU(32, 64, stride=2, rng=rng),
            ConvBNReLU(64, 64, rng=rng),
        )
        self.coarse = Sequential(
            ConvBNReLU(64, 128, stride=2, rng=rng),
            Residual(128, 1, rng),
            ConvBNReLU(128, 192, dilation=2, rng=rng),
            Residual(192, 4, rng),
        )
        self.aspp = ASPP(192, 64, rates=(2, 4, 8, 12), rng=rng)
        self.detail = conv_bn(64, 64, rng)
        self.refine = ConvBNReLU(64, 64, rng=rng)
        self.score = Conv2d(64, num_classes, 1, rng=rng)

    def forward(self, x: Tensor | np.ndarray) -> Tensor:
        """(N, 3, H, W) preprocessed images -> (N, num_classes, H', W') scores."""
        fine = self.fine(x)  # (N, 64, H/4, W/4)
        context = self.aspp(self.coarse(fine))  # (N, 64, H/8, W/8)
        context = F.interpolate(context, size=fine.shape[2:], mode="bilinear", align_corners=True)
        return self.score(self.refine(F.relu(context + self.detail(fine))))


def deeplab_small(num_classes: int = 11, seed: int | np.random.Generator = 0) -> DeepLabSmall:
    """Build the small DeepLab with He-initialised weights."""
    return DeepLabSmall(num_classes, seed)
