"""Preprocessing of images: channel order, mean and scale."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Turn an RGB image into a network's input: reorder, subtract ``mean``, divide by ``std``.

    ``mean`` and ``std`` are three numbers on the 0..255 scale, in the order of the network's
    channels: with ``channel_order="bgr"`` they are blue, green, red.
    """

    channel_order: str = "rgb"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if self.channel_order not in ("rgb", "bgr"):
            raise ValueError(f"channel_order: {self.channel_order!r} is neither 'rgb' nor 'bgr'")
        for field in ("mean", "std"):  # JSON gives lists; a frozen value holds tuples
            object.__setattr__(self, field, _three_numbers(field, getattr(self, field)))
        if min(self.std) <= 0:
            raise ValueError(f"std: {self.std} must be positive")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """image: (H, W, 3) uint8 RGB -> (3, H, W) float32."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f"image: {image.dtype} array of shape {image.shape}, expected uint8 (H, W, 3)"
            )
        channels = image if self.channel_order == "rgb" else image[:, :, ::-1]
        scaled = (channels - np.float32(self.mean)) / np.float32(self.std)  # (H, W, 3)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))

    @property
    def fill(self) -> tuple[float, float, float]:
        """The RGB colour that becomes (almost) zero: what padding around an image should be."""
        return self.mean if self.channel_order == "rgb" else self.mean[::-1]


def _three_numbers(name: str, values: Sequence[float]) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != 3:
        raise ValueError(f"{name}: {values}, expected three numbers")
    return numbers


#: What the authors' Caffe networks were trained with (prototxt ``mean_value``).
CAFFE = Preprocessing("bgr", mean=(104.008, 116.669, 122.675))
#: ImageNet's statistics, channel by channel.
IMAGENET = Preprocessing("rgb", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
