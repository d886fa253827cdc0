"""Networks of the experiments: the authors' heads on a trunk small enough for a laptop.

``trunk="vgg16"`` is the authors' network, ``width`` times as wide. ``trunk="small"`` trains from
random weights: each of VGG's five blocks becomes two convolutions with batch norm, and the first
three halve the resolution at once, so that its features have stride 8 as the authors' do (the
first two for stride 4). The head is theirs in both: fc6 with its kernel and rate, fc7, fc8,
dropout, scores added over branches.
"""

from __future__ import annotations

import numpy as np

from minideeplab.models.deeplab import Variant, branch
from minideeplab.models.deeplab import trunk as vgg_trunk
from minideeplab.models.preprocessing import CAFFE, IMAGENET
from minideeplab.models.small import ConvBNReLU
from minideeplab.models.vgg import BLOCKS
from minideeplab.nn import AvgPool2d, Dropout, Module, Sequential
from minideeplab.tensor import Tensor

TRUNKS = ("small", "vgg16")
OUTPUT_STRIDE = 8
VGG_PARAMETERS = 14_714_688  # of the authors' trunk
FIELD_NOTE = (
    "The field of view is the paper's measure: fc6's own span at stride 8, plus 32 pixels. Through "
    "the whole of LargeFOV, pool5a included, 435 pixels reach a score (419 without pool5a; "
    "measured in notebooks/02)."
)
DROPOUT = 0.1  # of the small trunk's heads: the authors' 0.5 is too much for so few filters
FEATURES = BLOCKS[-1][2]  # channels of pool5, at full width


class ExperimentNet(Module):
    """(N, 3, sk+1, sl+1) -> scores (N, num_classes, k+1, l+1), with s the stride.

    Args:
        shape: the head, at full width: fc6's kernel, rates and filters; pool5a.
        num_classes: C.
        trunk: one of ``TRUNKS``.
        width: share of the authors' filters, 1 for all.
        stride: of the features, 8; or 4, for the small trunk.
        seed: of the random weights.
    """

    def __init__(
        self,
        shape: Variant,
        num_classes: int,
        trunk: str,
        width: float,
        stride: int = OUTPUT_STRIDE,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if trunk not in TRUNKS:
            raise ValueError(f"trunk: {trunk!r}, expected one of {', '.join(TRUNKS)}")
        if not 0 < width <= 1:
            raise ValueError(f"width: {width}, expected above 0, at most 1")
        if stride != OUTPUT_STRIDE and (trunk, stride) != ("small", 4):
            raise ValueError(f"stride: {stride}, expected 8, or 4 with the trunk 'small'")
        rng, scaled = np.random.default_rng(seed), shape.scaled(width)
        self.name, self.num_classes = f"experiment-{trunk}", num_classes
        self.output_stride = stride
        self.preprocessing = IMAGENET if trunk == "small" else CAFFE
        if trunk == "small":
            layers = small_trunk(width, stride, rng)
            layers |= {"pool5a": AvgPool2d(3, stride=1, padding=1)} if shape.pool5a else {}
        else:
            layers = vgg_trunk(shape.pool5a, width, rng)
        self.trunk = tuple(layers)
        vars(self).update(layers)  # flat, so that parameters have Caffe's names
        self.branches = []
        for k, rate in enumerate(shape.rates, start=1):
            suffix = f"_{k}" if len(shape.rates) > 1 else ""
            part = branch(suffix, scaled, rate, round(FEATURES * width), num_classes, rng)
            if trunk == "small":
                part |= {f"drop{k}{suffix}": Dropout(DROPOUT) for k in (6, 7)}
            vars(self).update(part)
            self.branches.append(tuple(part))

    def forward(self, x: Tensor | np.ndarray) -> Tensor:
        """(N, 3, H, W) preprocessed images -> (N, num_classes, H', W') scores."""
        x = self._run(self.trunk, x)
        scores = [self._run(names, x) for names in self.branches]
        return sum(scores[1:], scores[0])

    def _run(self, names: tuple[str, ...], x: Tensor | np.ndarray) -> Tensor:
        for name in names:
            x = getattr(self, name)(x)
        return x


def small_trunk(width: float, stride: int, rng: np.random.Generator) -> dict[str, Module]:
    """Return block1 ... block5: (N, 3, sk+1, sl+1) -> (N, 512 * width, k+1, l+1), s the stride."""
    layers: dict[str, Module] = {}
    channels, halvings = 3, stride.bit_length() - 1
    for block, _, full in BLOCKS:
        wide, rate = round(full * width), 2 if block == 5 else 1
        layers[f"block{block}"] = Sequential(
            ConvBNReLU(
                channels, wide, stride=2 if block <= halvings else 1, dilation=rate, rng=rng
            ),
            ConvBNReLU(wide, wide, dilation=rate, rng=rng),
        )
        channels = wide
    return layers


def full_parameters(shape: Variant, num_classes: int = 21) -> int:
    """Return the number of parameters of the authors' VGG-16 network with this head."""
    channels = shape.channels
    fc6 = shape.kernel**2 * FEATURES * channels + channels
    fc7, fc8 = channels * (channels + 1), num_classes * (channels + 1)
    return VGG_PARAMETERS + len(shape.rates) * (fc6 + fc7 + fc8)


def field_of_view(shape: Variant) -> int:
    """Return the paper's measure, in pixels, of the largest branch (table 1).

    fc6 spans (kernel - 1) * rate strides, plus 32 pixels, which VGG's pools reduce to one position.
    """
    return (shape.kernel - 1) * max(shape.rates) * OUTPUT_STRIDE + 32
