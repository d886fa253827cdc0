"""Read label images and scribbles, from which the dense CRF starts."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from PIL import Image

from minideeplab import io
from minideeplab.crf.potentials import unary_from_labels
from minideeplab.visualize.palettes import voc_palette

MOST_COLOURS = 64
UNKNOWN = 255
NOISE, MOSTLY = 40, 0.95  # of JPEG: levels that black and white change by; share of such pixels
BLACK = ("auto", "unknown", "label")


@dataclass(frozen=True)
class Annotation:
    """A label image: ``numbers`` (K,) are the labels that occur, ``index`` (H, W) indexes them.

    ``index`` is -1 where nothing is known. ``palette`` (P, 3) uint8 has the colours of the numbers.
    """

    index: np.ndarray
    numbers: np.ndarray
    palette: np.ndarray

    def probabilities(self, certainty: float) -> np.ndarray:
        """Return (K, H, W) float32 for labels that are right with ``certainty`` in (0, 1)."""
        return np.exp(-unary_from_labels(self.index, len(self.numbers), certainty, unknown=-1))


def read_annotation(path: str | os.PathLike[str], black: str = "auto") -> Annotation:
    """Read a label image: colours are labels, or class numbers in a palette or grey image.

    Transparent pixels are unknown, and 255 in a palette or grey image. ``black`` says whether
    black is "unknown" or a "label"; "auto" takes it as unknown, as pydensecrf's example does, but
    as a label in grey images and in palette images with PASCAL VOC's colours or a 255. An image of
    black and white alone, or of 0 and 255, has two labels; so has a JPEG of such a mask.

    Raises ValueError if the file is no image, has too many colours for labels, fewer than two
    labels, or is a JPEG that is not black and white.
    """
    if black not in BLACK:
        raise ValueError(f"black must be one of {BLACK}, got {black!r}")
    io.read_image(path)  # a file that is no image fails here, with the reason
    with Image.open(path) as image:
        mode, colours, lossy = image.mode, image.getpalette(), image.format == "JPEG"
        rgba = np.array(image.convert("RGBA"))
    if black == "auto" and _is_binary(rgba, lossy):
        white = (rgba[:, :, 0] > 127).astype(np.int64)
        return Annotation(white, np.arange(2), np.uint8([[0, 0, 0], [255, 255, 255]]))
    if lossy:
        raise ValueError(
            f"{path}: JPEG is lossy and changes labels; expected PNG, or a mask of black and white"
        )
    in_colour = mode in ("RGB", "RGBA", "CMYK")
    if in_colour:
        labels, palette = _number_colours(np.where(rgba[:, :, 3:] == 0, 0, rgba[:, :, :3]), path)
        black = "unknown" if black == "auto" else black
    else:
        labels = io.read_labels(path)
        palette = voc_palette() if mode != "P" else np.array(colours, np.uint8).reshape(-1, 3)
        black = _black_in_palette(labels, palette, mode) if black == "auto" else black
    if black == "unknown":
        labels = np.where((rgba[:, :, :3] == 0).all(axis=2), UNKNOWN, labels)
    labels = np.where(rgba[:, :, 3] == 0, UNKNOWN, labels)

    numbers = np.setdiff1d(labels, [UNKNOWN])
    if not numbers.size:
        raise ValueError(f"{path}: no pixel has a label")
    if numbers.size == 1:
        rest = "; --black label makes black a label" if black == "unknown" else ""
        raise ValueError(f"{path}: one label only, expected 2 or more{rest}")
    index = np.where(labels == UNKNOWN, -1, np.searchsorted(numbers, labels))
    if in_colour:  # number the colours that remain from 0
        numbers, palette = np.arange(len(numbers)), palette[numbers]
    return Annotation(index, numbers, palette)


def _is_binary(rgba: np.ndarray, lossy: bool) -> bool:
    """Return whether an opaque image is black and white, up to the noise of JPEG if ``lossy``."""
    values = rgba[:, :, :3]
    if (rgba[:, :, 3] != 255).any() or values.min() > 127 or values.max() <= 127:
        return False
    if not lossy:
        return bool(((values == 0) | (values == 255)).all() and (values == values[..., :1]).all())
    near = (values < NOISE) | (values > 255 - NOISE)
    return bool(near.mean() > MOSTLY and np.ptp(values.astype(int), axis=2).max() < NOISE)


def _black_in_palette(labels: np.ndarray, palette: np.ndarray, mode: str) -> str:
    used = int(labels[labels != UNKNOWN].max(initial=0)) + 1
    is_voc = np.array_equal(palette[:used], voc_palette()[:used])
    return "label" if mode != "P" or is_voc or (labels == UNKNOWN).any() else "unknown"


def _number_colours(
    image: np.ndarray, path: str | os.PathLike[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Number the colours of (H, W, 3): labels (H, W) and palette (K, 3), in ascending order."""
    colours, inverse = np.unique(image.reshape(-1, 3), axis=0, return_inverse=True)
    if len(colours) > MOST_COLOURS:
        raise ValueError(
            f"{path}: {len(colours)} colours; expected labels in at most {MOST_COLOURS}, without "
            "smooth edges and not as JPEG"
        )
    return inverse.reshape(image.shape[:2]).astype(np.uint8), colours
