"""Synthetic scenes: textured, shaded, overlapping objects with exact labels.

The same (seed, index) gives the same scene, bit for bit, on every machine: all randomness
is uniform numbers, and pixels are computed with +, -, *, / and square roots, which IEEE 754 rounds
alike everywhere. Sines are not.
"""

from __future__ import annotations

import math

import numpy as np

from minideeplab.data.textures import GROUND_COLOURS, OBJECT_COLOURS, texture, value_noise
from minideeplab.visualize.palettes import SCENE_CLASSES, SCENE_PALETTE

SMALLEST, LARGEST = 0.07, 0.40  # radius of an object, as a part of the scene's shorter side
SHADOW_DEPTH, SHADOW_SOFTNESS = 0.4, 0.12


class SyntheticScenes:
    """A data set of generated scenes: disks, boxes, triangles, stars and bars.

    Sizes vary by a factor of six. Objects are more vivid than the background, but only their shape
    determines their class. A band of label 255 runs along every visible edge, as in
    PASCAL VOC.

    Args:
        count: number of scenes.
        size: height and width.
        seed: another seed gives other scenes.
        border: half the width of the band of label 255, in pixels.

    Raises:
        ValueError: an argument out of its range.
    """

    ignore_index = 255

    def __init__(
        self, count: int, size: tuple[int, int] = (121, 161), seed: int = 0, border: float = 1.5
    ):
        if count < 0:
            raise ValueError(f"count: expected 0 or more, got {count}")
        if len(size) != 2 or min(size) < 16:
            raise ValueError(f"size: expected height and width of 16 or more, got {size}")
        if seed < 0:
            raise ValueError(f"seed: expected 0 or more, got {seed}")
        if border < 0:
            raise ValueError(f"border: expected 0 or more, got {border}")
        self.count, self.size, self.seed, self.border = count, tuple(size), seed, border
        self.classes = list(SCENE_CLASSES)
        self.palette = SCENE_PALETTE
        self.names = [f"scene-{seed}-{index:05d}" for index in range(count)]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return scene ``index``: image (H, W, 3) uint8 RGB, labels (H, W) uint8."""
        if not -self.count <= index < self.count:
            raise IndexError(f"index: expected less than {self.count}, got {index}")
        rng = np.random.default_rng([self.seed, index % self.count])
        return draw_scene(rng, self.size, self.border)


def draw_scene(
    rng: np.random.Generator, size: tuple[int, int], border: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return image and labels: a background, then objects from the largest to the smallest."""
    y, x = np.indices(size, dtype=np.float32)
    ground = GROUND_COLOURS[rng.integers(len(GROUND_COLOURS))]
    canvas = texture(rng, y, x, ground, scale=min(size) / 6)
    labels = np.zeros(size, dtype=np.uint8)
    for radius in _draw_radii(rng, min(size)):
        kind = 1 + int(rng.integers(len(SCENE_CLASSES) - 1))
        colour = OBJECT_COLOURS[rng.integers(len(OBJECT_COLOURS))]
        shape = _Shape(rng, kind, radius, size)
        paint = texture(rng, y, x, colour, scale=max(4.0, radius / 2))
        _cast_shadow(canvas, shape.distance(y - 0.15 * radius, x - 0.1 * radius), radius)
        _paint_object(canvas, labels, shape.distance(y, x), paint, kind, border)
    canvas *= _daylight(rng, y, x)[:, :, None]
    canvas += 0.09 * (rng.random((*size, 3), dtype=np.float32) - np.float32(0.5))  # sensor noise
    return np.rint(255 * np.clip(canvas, 0, 1)).astype(np.uint8), labels


def _draw_radii(rng: np.random.Generator, side: int) -> list[float]:
    """Return 3 to 8 radii, log-uniform, the largest first."""
    steps = rng.random(int(rng.integers(3, 9)))
    radii = [round(SMALLEST * (LARGEST / SMALLEST) ** float(t), 4) * side for t in steps]
    return sorted(radii, reverse=True)


def _daylight(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return brightness (H, W), about 1: a slope across the scene and soft clouds."""
    slope_y, slope_x = 0.4 * (rng.random(2) - 0.5)
    plane = slope_y * (y / y.shape[0] - 0.5) + slope_x * (x / x.shape[1] - 0.5)
    return 1 + plane.astype(np.float32) + 0.2 * (value_noise(rng, y, x, y.shape[0] / 2) - 0.5)


def _cast_shadow(canvas: np.ndarray, distance: np.ndarray, radius: float) -> None:
    softness = max(2.0, SHADOW_SOFTNESS * radius)
    canvas *= (1 - SHADOW_DEPTH * np.clip(0.5 - distance / softness, 0, 1))[:, :, None]


def _paint_object(
    canvas: np.ndarray,
    labels: np.ndarray,
    distance: np.ndarray,
    paint: np.ndarray,
    kind: int,
    border: float,
) -> None:
    cover = np.clip(0.5 - distance, 0, 1)[:, :, None]  # smooth over one pixel at the edge
    canvas += cover * (paint - canvas)
    labels[distance <= 0] = kind
    labels[np.abs(distance) < border] = 255


class _Shape:
    """One object: its position, size, angle and signed distance."""

    def __init__(self, rng: np.random.Generator, kind: int, radius: float, size: tuple[int, int]):
        angle = 2 * math.pi * rng.random()
        self.cos, self.sin = round(math.cos(angle), 5), round(math.sin(angle), 5)
        self.centre_y, self.centre_x = (length * rng.random() for length in size)
        self.aspect = 0.75 + 0.25 * rng.random()
        self.name = SCENE_CLASSES[kind]
        self.radius = radius

    def distance(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return the approximate distance of (H, W) pixels from the object; negative inside."""
        y, x = y - self.centre_y, x - self.centre_x
        u, v = self.cos * x + self.sin * y, self.cos * y - self.sin * x
        if self.name == "disk":
            return np.sqrt(u * u + v * v) - self.radius
        if self.name == "box":
            side = 0.8 * self.radius
            return np.maximum(np.abs(u) - side, np.abs(v) - self.aspect * side)
        if self.name == "bar":
            return np.maximum(np.abs(u) - 1.3 * self.radius, np.abs(v) - 0.22 * self.radius)
        if self.name == "triangle":
            return np.max(_half_planes(u, v, 3, 0.55 * self.radius), axis=0)
        # a pentagram is where at most one of its five lines has the point on its far side
        return np.sort(_half_planes(u, v, 5, 0.33 * self.radius), axis=0)[-2]


def _half_planes(u: np.ndarray, v: np.ndarray, count: int, offset: float) -> np.ndarray:
    """Return (count, H, W): distances beyond the sides of a regular polygon around the origin."""
    angles = [2 * math.pi * side / count for side in range(count)]
    return (
        np.stack([round(math.cos(a), 5) * u + round(math.sin(a), 5) * v for a in angles]) - offset
    )
