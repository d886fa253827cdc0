"""Process a large image in overlapping tiles, and blend the results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def blend_tiles(
    image: np.ndarray, side: int, function: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return ``function`` of an image (H, W, 3), computed in tiles: (C, H, W) float32.

    Neighbouring tiles share at least a quarter of their side, where their results are averaged with
    weights that fall linearly to the tile's edge, so that no seam shows.

    Args:
        image: (H, W, 3).
        side: height and width of a tile; less where the image is smaller.
        function: (h, w, 3) -> (C, h, w), of a tile.
    """
    height, width = image.shape[:2]
    total, weights = None, np.zeros((height, width), np.float32)
    for top in tile_starts(height, side):
        for left in tile_starts(width, side):
            rows, columns = slice(top, top + side), slice(left, left + side)
            result = function(image[rows, columns])
            if total is None:
                total = np.zeros((len(result), height, width), np.float32)
            weight = np.outer(*(_ramp(length, side // 4) for length in result.shape[1:]))
            total[:, rows, columns] += weight * result
            weights[rows, columns] += weight
    total /= weights
    return total


def tile_starts(length: int, side: int) -> list[int]:
    """Return where tiles begin along a length: evenly, overlapping by a quarter or more."""
    if length <= side:
        return [0]
    step = side - side // 4
    count = 1 + -(-(length - side) // step)
    return [int(start) for start in np.linspace(0, length - side, count).round()]


def _ramp(length: int, overlap: int) -> np.ndarray:
    """Return weights (length,) that rise from the ends over ``overlap`` pixels to 1."""
    from_end = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1
    return np.minimum(1, from_end / max(1, overlap)).astype(np.float32)
