"""Small images with noisy labels, for the tests of this folder."""

from __future__ import annotations

import numpy as np


def scene(height: int, width: int, labels: int, seed: int = 0):
    """A smooth colour image (H, W, 3) uint8 and energies (C, H, W) float32 that follow it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    phases = rng.uniform(0, 6, (3, 1, 1))
    waves = 127 + 90 * np.sin(x / 3.1 + y / 4.7 * [[[0.5]], [[1]], [[-1]]] + phases)
    image = np.clip(waves + rng.normal(0, 8, waves.shape), 0, 255).astype(np.uint8)
    centres = rng.integers(0, 256, (labels, 3, 1, 1))
    score = -np.abs(image - centres).mean(axis=1) / 60 + rng.normal(0, 0.7, (labels, height, width))
    unary = np.log(np.exp(score).sum(axis=0)) - score
    return image.transpose(1, 2, 0).copy(), np.round(128 * unary).astype(np.float32) / 128
