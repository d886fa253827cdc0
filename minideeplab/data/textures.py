"""Procedural textures for the synthetic scenes, from uniform random numbers and arithmetic."""

from __future__ import annotations

import math

import numpy as np

# in 0..1: muted ones for the background, vivid ones for the objects
GROUND_COLOURS = np.array(
    [(0.42, 0.40, 0.37), (0.62, 0.58, 0.52), (0.30, 0.33, 0.36), (0.54, 0.57, 0.58)],
    dtype=np.float32,
)
OBJECT_COLOURS = np.array(
    [
        (0.82, 0.28, 0.22), (0.24, 0.45, 0.76), (0.33, 0.66, 0.34), (0.93, 0.72, 0.24),
        (0.60, 0.34, 0.66), (0.90, 0.50, 0.22), (0.22, 0.66, 0.66), (0.86, 0.44, 0.60),
    ],
    dtype=np.float32,
)  # fmt: skip


def texture(
    rng: np.random.Generator, y: np.ndarray, x: np.ndarray, colour: np.ndarray, scale: float
) -> np.ndarray:
    """Return one material: a colour, soft blotches, and stripes, checks, grain or nothing.

    Args:
        rng: random numbers.
        y: (H, W) float32, rows.
        x: (H, W) float32, columns.
        colour: (3,) in 0..1; a small random change is added.
        scale: size of the pattern in pixels.

    Returns:
        (H, W, 3) float32, about 0..1.
    """
    base = colour + 0.14 * (rng.random(3, dtype=np.float32) - np.float32(0.5))
    shade = 1 + 0.35 * (value_noise(rng, y, x, scale) - 0.5)
    strength = 0.1 + 0.25 * rng.random()
    shade += strength * (_pattern(rng, y, x, scale) - 0.5)
    return shade[:, :, None] * base


def _pattern(rng: np.random.Generator, y: np.ndarray, x: np.ndarray, scale: float) -> np.ndarray:
    """Return (H, W) in 0..1: stripes, checks, grain or plain."""
    kind = rng.integers(4)
    turn = 2 * math.pi * rng.random()
    along = round(math.cos(turn), 5) * x + round(math.sin(turn), 5) * y
    across = round(math.cos(turn), 5) * y - round(math.sin(turn), 5) * x
    period = scale * (0.6 + 0.6 * rng.random())
    if kind == 0:
        return _triangle_wave(along / period)
    if kind == 1:
        return np.rint(_triangle_wave(along / period)) * _triangle_wave(across / period)
    if kind == 2:
        return value_noise(rng, y, x, 2.5)
    return np.full_like(y, 0.5)


def _triangle_wave(phase: np.ndarray) -> np.ndarray:
    return np.abs(2 * (phase - np.floor(phase)) - 1)


def value_noise(rng: np.random.Generator, y: np.ndarray, x: np.ndarray, scale: float) -> np.ndarray:
    """Return smooth noise (H, W) in 0..1: random knots ``scale`` pixels apart, interpolated."""
    rows, columns = y[:, :1] / scale, x[:1] / scale
    knots = rng.random((int(rows[-1, 0]) + 2, int(columns[0, -1]) + 2), dtype=np.float32)
    top, left = rows.astype(int), columns.astype(int)
    down, right = _smoothstep(rows - top), _smoothstep(columns - left)
    upper = knots[top, left] * (1 - right) + knots[top, left + 1] * right
    lower = knots[top + 1, left] * (1 - right) + knots[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def _smoothstep(t: np.ndarray) -> np.ndarray:
    t = t.astype(np.float32)
    return t * t * (3 - 2 * t)
