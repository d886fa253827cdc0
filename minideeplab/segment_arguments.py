"""Checks of the arguments of ``segment``, with a hint for arrays that are no image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def check_segment(
    image: np.ndarray, net: Any, scales: Sequence[float], fusion: str, max_side: int,
    tile: int | None,
) -> None:  # fmt: skip
    """Raise ValueError or TypeError for an argument of ``segment`` that is out of its range."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3:
        raise ValueError(f"image: expected uint8 (H, W, 3), got {_kind_and_hint(image)}")
    if image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"image: expected (H, W, 3) with pixels, got {image.shape}")
    if not hasattr(net, "preprocessing"):
        raise TypeError(f"net: expected a network with preprocessing, got {type(net).__name__}")
    if len(scales) == 0 or not all(0 < scale <= 8 for scale in scales):
        raise ValueError(f"scales: expected numbers in (0, 8], got {scales}")
    if fusion not in ("mean", "max"):
        raise ValueError(f"fusion: expected 'mean' or 'max', got {fusion!r}")
    if max_side < 16:
        raise ValueError(f"max_side: expected 16 or more, got {max_side}")
    if tile is not None and tile < 16:
        raise ValueError(f"tile: expected 16 or more, or None, got {tile}")


def _kind_and_hint(image: Any) -> str:
    """Return what was given in place of an image, and how to make one of it."""
    if not isinstance(image, np.ndarray):
        return f"{type(image)}"
    kind = f"{image.dtype} {image.shape}"
    if image.ndim == 4:
        return f"{kind}; segment takes one image, segment_all many"
    if image.dtype.kind == "u" and image.dtype.itemsize > 1:
        return f"{kind}; scale its range to 0..255: np.uint8(image * (255 / image.max()))"
    if image.dtype.kind == "f":
        return f"{kind}; of values in 0..1 make np.uint8(255 * image)"
    return kind
