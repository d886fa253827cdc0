"""What lesson 6 builds on: atrous convolution (lesson 2), resizing (lesson 5), a toy network."""

from __future__ import annotations

import numpy as np


def atrous_conv2d(x: np.ndarray, w: np.ndarray, b: np.ndarray, rate: int) -> np.ndarray:
    """Convolve x (C, H, W) with w (F, C, k, k), k odd, add b (F,), keep the size: (F, H, W)."""
    height, width = x.shape[1:]
    margin = rate * (w.shape[2] - 1) // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
    y = np.zeros((len(w), height, width)) + b[:, None, None]
    for i, j in np.ndindex(w.shape[2:]):
        piece = padded[:, i * rate : i * rate + height, j * rate : j * rate + width]
        y += np.tensordot(w[:, :, i, j], piece, axes=1)
    return y


def resize(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Interpolate x (C, H, W) bilinearly, corners aligned: (C, *size)."""
    for axis, out in enumerate(size, 1):
        last = x.shape[axis] - 1
        position = np.arange(out) * last / max(out - 1, 1)
        low = np.floor(position).astype(int)
        shape = [1, 1, 1]
        shape[axis] = out
        fraction = (position - low).reshape(shape)
        high = np.minimum(low + 1, last)
        x = np.take(x, low, axis) * (1 - fraction) + np.take(x, high, axis) * fraction
    return x


def network(image: np.ndarray) -> np.ndarray:
    """Score two classes at every fourth pixel: (3, H, W) to (2, ceil(H / 4), ceil(W / 4))."""
    red, green, blue = np.tanh(image)
    edges = np.abs(np.diff(red, axis=1, prepend=red[:, :1]))
    return np.stack([edges - green, blue * red + 0.5 * edges])[:, ::4, ::4]
