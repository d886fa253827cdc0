"""Mean field to look at: the labels after every iteration, as an animation or a strip."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from minideeplab.files import atomic_write

STRIP_HEIGHT = 240  # pixels of one picture in a strip
FRAME_TIME = 400  # milliseconds of one picture in an animation
SUFFIXES = (".gif", ".png")


def save_steps(frames: Sequence[np.ndarray], path: str | os.PathLike[str]) -> None:
    """Write pictures (H, W, 3) uint8 of one size: .gif as an animation, .png as a strip."""
    check_steps_path(path)
    pictures = [Image.fromarray(frame) for frame in frames]
    if Path(path).suffix.lower() == ".png":
        with atomic_write(path) as temporary:
            _strip(pictures).save(temporary)
        return
    first, *others = [picture.convert("P", palette=Image.Palette.ADAPTIVE) for picture in pictures]
    with atomic_write(path) as temporary:
        first.save(temporary, save_all=True, append_images=others, duration=FRAME_TIME, loop=0)


def check_steps_path(path: str | os.PathLike[str]) -> None:
    """Raise ValueError unless the suffix is one that :func:`save_steps` can write."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: expected .gif for an animation or .png for a strip")


def _strip(pictures: Sequence[Image.Image]) -> Image.Image:
    """Put pictures side by side, made smaller if they are tall."""
    width, height = pictures[0].size
    if height > STRIP_HEIGHT:
        width, height = max(1, width * STRIP_HEIGHT // height), STRIP_HEIGHT
    strip = Image.new("RGB", (width * len(pictures), height))
    for place, picture in enumerate(pictures):
        small = picture.resize((width, height), Image.Resampling.NEAREST)
        strip.paste(small, (place * width, 0))
    return strip
