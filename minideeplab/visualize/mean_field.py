"""Save the iterations of mean field as an animation or a strip."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from minideeplab.files import atomic_write

STRIP_HEIGHT = 240  # pixels of one image in a strip
NUMBERED_HEIGHT = 48  # pixels, from which on an image in a strip has room for its number
FRAME_TIME = 400  # milliseconds of one image in an animation
SUFFIXES = (".gif", ".png")


def save_steps(frames: Sequence[np.ndarray], path: str | os.PathLike[str]) -> None:
    """Write images (H, W, 3) uint8 of one size: .gif as an animation, .png as a strip."""
    check_steps_path(path)
    images = [Image.fromarray(frame) for frame in frames]
    if Path(path).suffix.lower() == ".png":
        with atomic_write(path) as temporary:
            _strip(images).save(temporary)
        return
    first, *others = [image.convert("P", palette=Image.Palette.ADAPTIVE) for image in images]
    with atomic_write(path) as temporary:
        first.save(temporary, save_all=True, append_images=others, duration=FRAME_TIME, loop=0)


def check_steps_path(path: str | os.PathLike[str]) -> None:
    """Raise ValueError unless the suffix is one that :func:`save_steps` can write."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: expected .gif for an animation or .png for a strip")


def _strip(images: Sequence[Image.Image]) -> Image.Image:
    """Put images side by side, made smaller if they are tall, numbered from 0 if they have room."""
    width, height = images[0].size
    if height > STRIP_HEIGHT:
        width, height = max(1, width * STRIP_HEIGHT // height), STRIP_HEIGHT
    strip = Image.new("RGB", (width * len(images), height))
    for place, image in enumerate(images):
        small = image.resize((width, height), Image.Resampling.NEAREST)
        strip.paste(small, (place * width, 0))
        if height >= NUMBERED_HEIGHT:
            _number(strip, place, place * width)
    return strip


def _number(strip: Image.Image, number: int, left: int) -> None:
    """Write a number, white on black, into the upper left corner of the image at ``left``."""
    draw = ImageDraw.Draw(strip)
    _, _, x1, y1 = draw.textbbox((left + 3, 2), str(number))
    draw.rectangle((left, 0, x1 + 2, y1 + 2), fill="black")
    draw.text((left + 3, 2), str(number), fill="white")
