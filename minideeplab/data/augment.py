"""Random scale, crop, mirror and colour, the same for an image and its labels.

The paper scales randomly between 0.5 and 1.5 (section 4.1.2); the authors' data layer pads
what is too small at the bottom and the right, the image with the mean, the labels with 255.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

MEAN_RGB = (123, 117, 104)  # ImageNet's mean, rounded to a colour


def augment(
    image: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    crop: tuple[int, int],
    scales: Sequence[float] = (0.5, 1.5),
    mirror: bool = True,
    jitter: float = 0.0,
    fill: tuple[int, int, int] = MEAN_RGB,
    ignore_index: int = 255,
) -> tuple[np.ndarray, np.ndarray]:
    """Return one random view of an image and its labels.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) uint8.
        rng: random numbers; the same state gives the same view.
        crop: height and width of the view.
        scales: two numbers are a range to draw from, any other count a set to choose from.
        mirror: flip left and right with probability 1/2.
        jitter: strength in [0, 1) of random brightness, contrast, saturation, gamma and tint.
        fill: colour outside the image.
        ignore_index: label outside the image.

    Returns:
        image (crop, 3) uint8 and labels (crop) uint8.

    Raises:
        ValueError: sizes that differ, or an argument out of its range.
    """
    _check(image, labels, crop, scales, jitter)
    view, truth = _random_window(image, labels, _draw_scale(scales, rng), crop, rng)
    if mirror and rng.random() < 0.5:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        truth = truth.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if jitter:
        view = jitter_colour(view, jitter, rng)
    return _pad(np.asarray(view), crop, fill), _pad(np.asarray(truth), crop, ignore_index)


def jitter_colour(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Change gamma, contrast, brightness, saturation and tint, each by a random factor near 1.

    The tint changes each colour channel by itself, at most a third as much as the others: the
    colour of daylight differs less than its strength.
    """
    gamma, contrast, brightness, saturation = 1 + strength * (2 * rng.random(4) - 1)
    tint = 1 + strength / 3 * (2 * rng.random(3) - 1)  # red, green, blue
    mean = float(np.mean(image.convert("L"))) / 255
    values = (np.arange(256) / 255) ** gamma
    values = ((values - mean**gamma) * contrast + mean**gamma) * brightness
    tables = np.clip(np.rint(255 * values * tint[:, None]), 0, 255).astype(int)
    image = image.point(tables.ravel().tolist())
    return Image.blend(image.convert("L").convert("RGB"), image, saturation)


def _draw_scale(scales: Sequence[float], rng: np.random.Generator) -> float:
    if len(scales) == 2:
        return scales[0] + (scales[1] - scales[0]) * rng.random()
    return scales[rng.integers(len(scales))]


def _random_window(
    image: np.ndarray,
    labels: np.ndarray,
    scale: float,
    crop: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[Image.Image, Image.Image]:
    """Scale and crop in one step: only the window that is kept is resampled."""
    size, box = [], []
    for length, wanted in zip(labels.shape, crop, strict=True):
        scaled = max(1, int(length * scale))
        kept = min(scaled, wanted)
        start = rng.integers(scaled - kept + 1)
        size.append(kept)
        box.append((start * length / scaled, (start + kept) * length / scaled))
    (top, bottom), (left, right) = box
    window = (left, top, right, bottom)
    view = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR, box=window)
    truth = Image.fromarray(labels).resize(size[::-1], Image.Resampling.NEAREST, box=window)
    return view, truth


def _pad(array: np.ndarray, size: tuple[int, int], value: int | tuple[int, ...]) -> np.ndarray:
    height, width = array.shape[:2]
    if (height, width) == tuple(size):
        return array.copy()
    padded = np.empty((*size, *array.shape[2:]), dtype=array.dtype)
    padded[...] = value
    padded[:height, :width] = array
    return padded


def _check(
    image: np.ndarray,
    labels: np.ndarray,
    crop: tuple[int, int],
    scales: Sequence[float],
    jitter: float,
) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image: expected uint8 (H, W, 3), got {image.dtype} {image.shape}")
    if labels.dtype != np.uint8 or labels.shape != image.shape[:2]:
        raise ValueError(
            f"labels: expected uint8 {image.shape[:2]} as the image, got {labels.dtype} "
            f"{labels.shape}"
        )
    if len(crop) != 2 or min(crop) < 1:
        raise ValueError(f"crop: expected two positive lengths, got {crop}")
    if len(scales) == 0 or min(scales) <= 0:
        raise ValueError(f"scales: expected positive numbers, got {scales}")
    if not 0 <= jitter < 1:
        raise ValueError(f"jitter: expected a strength in [0, 1), got {jitter}")
