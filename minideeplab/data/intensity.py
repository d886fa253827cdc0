"""The range of grey values of images of more than 8 bits, such as 12-bit scans in 16-bit files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minideeplab.data.masks import image_mode
from minideeplab.io import WIDE_MODES, open_image

MOST = 200  # files that are read, evenly spaced
TAILS = (0.1, 99.9)  # percentiles of an image: a hot pixel does not decide


def find_intensity_range(paths: Sequence[Path]) -> tuple[float, float] | None:
    """Return the lowest and highest grey value of a data set; None for images of 8 bits.

    Of each image the 0.1 and 99.9 percentiles count. Files that cannot be read are left out.
    """
    lows, highs = [], []
    for path in evenly(paths, MOST):
        try:
            if image_mode(path) not in WIDE_MODES:
                continue
            with open_image(path) as image:
                values = np.asarray(image)
        except (OSError, ValueError):
            continue  # reported when the file is used
        values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        if values.size:
            low, high = np.percentile(values, TAILS)
            lows.append(low)
            highs.append(high)
    if not highs or max(highs) <= min(lows) or (min(lows) >= 0 and 1 < max(highs) <= 255):
        return None
    return float(min(lows)), float(max(highs))


def evenly(items: Sequence[Path], most: int) -> list[Path]:
    """Return at most ``most`` of the items, evenly spaced."""
    if len(items) <= most:
        return list(items)
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, most)]
