"""Masks of own data: class numbers in a palette or grey image, or the colours of classes.txt."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from minideeplab.files import require_file
from minideeplab.io import WIDE_MODES, open_image, read_image, read_labels
from minideeplab.visualize.palettes import VOID_COLOUR

IGNORED = 255
LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp")
SHOWN_COLOURS = 12
CODE = np.array([1 << 16, 1 << 8, 1])  # a colour as one number

Colours = Sequence[tuple[int, int, int]]


class UnknownColours(ValueError):
    """A mask has colours that are no class, or colours where no class has one."""


def read_mask(
    path: str | os.PathLike[str], colours: np.ndarray | None = None, ignored: Colours = ()
) -> np.ndarray:
    """Return a mask's labels (H, W) uint8, 255 where the label is unknown.

    Args:
        path: a palette, grey or colour image.
        colours: (C, 3) uint8, the classes' colours. An indexed image is then read by the colours
            of its own palette, which image editors number as they like.
        ignored: colours of unknown labels, besides PASCAL VOC's 224 224 192.

    Raises:
        UnknownColours: naming the colours that are no class.
        FileNotFoundError, ValueError: as ``read_labels``.
    """
    mode = image_mode(path)
    if mode in ("L", "1", *WIDE_MODES) or (mode == "P" and colours is None):
        return read_labels(path)
    if mode == "P":
        return _decode_indexed(path, colours, ignored)
    image = read_image(path) if mode != "LA" else _bands(path)
    if mode == "RGBA":  # a transparent pixel has no label, as in crf
        image = np.where(_bands(path)[..., 3:] == 0, np.uint8(VOID_COLOUR), image)
    if mode == "LA" or (colours is None and (image == image[..., :1]).all()):
        return image[..., 0].copy()  # red = green = blue: the class number
    if colours is None:
        raise UnknownColours(
            f"{path}: the mask is in colour, but classes.txt has no colours; "
            f"{describe_colours(count_colours(image), most=3)}"
        )
    return _decode(image, colours, ignored, path)


def image_mode(path: str | os.PathLike[str]) -> str:
    """Return Pillow's mode of an image file, from its header. Raises as ``read_image``."""
    try:
        with Image.open(require_file(path, "an image")) as image:
            return image.mode
    except Exception:  # readers of damaged headers raise nearly anything
        read_image(path)  # says what is wrong
        raise


def _bands(path: str | os.PathLike[str]) -> np.ndarray:
    with open_image(path) as image:
        return np.array(image)


def _decode_indexed(
    path: str | os.PathLike[str], colours: np.ndarray, ignored: Colours
) -> np.ndarray:
    """Return the labels of an indexed image: its indices if they agree with ``colours``."""
    indices = read_labels(path)
    with open_image(path) as image:
        own = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    used = np.unique(indices)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(own)] = own
    classes = used[used != IGNORED]
    grey = (palette[used] == used[:, None]).all()
    if grey or (
        (classes < len(colours)).all()
        and np.array_equal(palette[classes], np.asarray(colours)[classes])
    ):
        return indices
    table = _labels_by_colour(colours, ignored)
    codes = palette[used] @ CODE
    unknown = [
        f"index {index} has {_show(code)}"
        for index, code in zip(used, codes, strict=True)
        if int(code) not in table
    ]
    if unknown:
        raise UnknownColours(
            f"{path}: colours that are not in classes.txt: {', '.join(unknown[:5])}; give these "
            "colours to the classes, or save the class numbers as a grey image"
        )
    lookup = np.zeros(256, np.uint8)
    lookup[used] = [table[int(code)] for code in codes]
    return lookup[indices]


def _decode(
    image: np.ndarray, colours: np.ndarray, ignored: Colours, path: str | os.PathLike[str]
) -> np.ndarray:
    """Return the labels (H, W) of an image (H, W, 3) in the classes' colours."""
    table = _labels_by_colour(colours, ignored)
    codes, inverse = np.unique(image.astype(np.int64) @ CODE, return_inverse=True)
    unknown = [code for code in codes if int(code) not in table]
    if unknown:
        shown = ", ".join(f"#{code:06x}" for code in unknown[:5])
        lossy = Path(path).suffix.lower() in LOSSY_SUFFIXES
        hint = "; JPEG and WebP change colours: save masks as PNG" if lossy else ""
        raise UnknownColours(f"{path}: colours not in the palette: {shown}{hint}")
    lookup = np.array([table[int(code)] for code in codes], np.uint8)
    return lookup[inverse].reshape(image.shape[:2])


def _labels_by_colour(colours: np.ndarray, ignored: Colours) -> dict[int, int]:
    void = {int(np.dot(colour, CODE)): IGNORED for colour in (VOID_COLOUR, *ignored)}
    classes = {int(np.dot(colour, CODE)): index for index, colour in enumerate(colours)}
    return void | classes


def _show(code: int) -> str:
    return f"{code >> 16} {code >> 8 & 255} {code & 255}"


def count_colours(image: np.ndarray) -> dict[str, int]:
    """Return how many pixels of an image (H, W, 3) have each colour, "R G B"."""
    codes, counts = np.unique(image.astype(np.int64) @ CODE, return_counts=True)
    return {_show(int(code)): int(n) for code, n in zip(codes, counts, strict=True)}


def describe_colours(colours: dict[str, int], most: int = SHOWN_COLOURS) -> str:
    """Return the colours of masks in words, the most frequent first, as classes.txt has them."""
    total = sum(colours.values())
    often = sorted(colours, key=colours.__getitem__, reverse=True)[:most]
    shares = ", ".join(f"{colour} ({colours[colour] / total:.1%})" for colour in often)
    more = "" if len(colours) <= most else f" and {len(colours) - most} more"
    return f"colours of the masks: {shares}{more}; classes.txt takes lines such as 'car 64 0 128'"
