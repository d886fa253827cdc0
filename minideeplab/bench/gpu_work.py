"""What ``bench gpu`` times: DeepLab's operations at their real sizes, each with what it must do.

``bytes`` counts every array once, read or written, as if caches were perfect; ``operations`` counts
additions and multiplications of the plain form. Both bound the time from below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.backends import load
from minideeplab.backends.cuda.device import to_device
from minideeplab.backends.cuda.matmul import PRECISIONS
from minideeplab.bench.layers import LARGEFOV, Layer

CLASSES = 21


@dataclass(frozen=True)
class Work:
    """One operation on arrays of the device: ours, torch's from NumPy arrays, and its cost."""

    name: str
    arrays: tuple[np.ndarray, ...]
    ours: Callable[..., Any]
    torch: Callable[..., Any]
    bytes: float
    operations: float
    precision: str = "float32"

    def on_device(self) -> Callable[[], Any]:
        """Our call, with the arrays on the device already."""
        arrays = [to_device(array) for array in self.arrays]
        return lambda: self.ours(*arrays)

    def on_torch(self, torch: Any) -> Callable[[], Any]:
        """Torch's call, likewise."""
        tensors = [torch.from_numpy(array).cuda() for array in self.arrays]
        return lambda: self.torch(torch, *tensors)


def works(picture: int, batch: int) -> Iterator[Work]:
    """Yield the convolutions of LargeFOV, and what surrounds them, for pictures of 8k + 1."""
    for layer in LARGEFOV:
        yield _convolution(layer, picture, batch, "implicit", "float32")
        for precision in PRECISIONS:
            yield _convolution(layer, picture, batch, "im2col", precision)
    yield from _pointwise(picture, batch)


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def _convolution(layer: Layer, picture: int, batch: int, algorithm: str, precision: str) -> Work:
    side, pad = layer.side(picture), layer.dilation * (layer.kernel // 2)
    x = _random(batch, layer.channels, side, side)
    w = _random(layer.filters, layer.channels, layer.kernel, layer.kernel)
    options = ((1, 1), ((pad, pad), (pad, pad)), (layer.dilation,) * 2, 1)
    moved = 4 * (x.size + w.size + batch * layer.filters * side * side)
    return Work(
        f"{layer.name}, {algorithm}, {precision}",
        (x, w),
        lambda x, w: load("cuda").conv2d(x, w, None, *options, algorithm=algorithm),
        lambda t, x, w: t.nn.functional.conv2d(x, w, None, 1, pad, layer.dilation),
        moved,
        2 * layer.multiplications(picture, batch),
        precision,
    )


def _pointwise(picture: int, batch: int) -> Iterator[Work]:
    """Pooling, upsampling and its adjoint, softmax, loss and its gradient."""
    cuda, coarse = load("cuda"), (picture - 1) // 8 + 1
    x = _random(batch, 64, picture, picture)
    scores = _random(batch, CLASSES, coarse, coarse)
    full = _random(batch, CLASSES, picture, picture)
    labels = np.random.default_rng(0).integers(0, CLASSES, (batch, picture, picture))
    size, shape, columns = (picture, picture), scores.shape, (batch, CLASSES, -1)
    pooled = x.size / 4
    resized = ("bilinear", True, (None, None))
    yield Work(
        "max_pool2d 3x3, stride 2",
        (x,),
        lambda x: cuda.max_pool2d(x, (3, 3), (2, 2), (1, 1), (1, 1), True),
        lambda t, x: t.nn.functional.max_pool2d(x, 3, 2, 1, 1, True, True),
        4 * x.size + 12 * pooled,
        9 * pooled,
    )
    yield Work(
        "interpolate x8",
        (scores,),
        lambda x: cuda.interpolate(x, size, *resized),
        lambda t, x: t.nn.functional.interpolate(x, size, mode="bilinear", align_corners=True),
        4 * (scores.size + full.size),
        8 * full.size,
    )
    yield Work(
        "interpolate x8, adjoint",
        (full,),
        lambda dy: cuda.interpolate_backward(dy, shape, *resized),
        lambda t, dy: t.ops.aten.upsample_bilinear2d_backward(dy, size, shape, True),
        4 * (scores.size + full.size),
        8 * full.size,
    )
    yield Work(
        "softmax",
        (full,),
        lambda x: cuda.softmax(x, 1),
        lambda t, x: t.softmax(x, 1),
        8 * full.size,
        5 * full.size,
    )
    yield Work(
        "cross_entropy",
        (full, labels),
        lambda x, t: cuda.cross_entropy(
            x.reshape(columns), t.reshape(batch, -1), None, 255, "mean", 0.0
        ),
        lambda t, x, y: t.nn.functional.cross_entropy(x, y, ignore_index=255),
        4 * full.size + 8 * labels.size,
        4 * full.size,
    )
