"""Matplotlib helpers of the notebooks: images without ticks, label colours with a legend.

The colours for display are chosen for readers with any colour vision: ``smallest_difference``
measures them. Files keep the data set's own palette (:mod:`minideeplab.visualize.palettes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from minideeplab.visualize import colourise, overlay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

#: Okabe and Ito's colours for lines and marks.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"

IGNORED, WRONG = (255, 255, 255), (0, 0, 0)

#: CamVid's classes for display, in the order of ``CAMVID_CLASSES``.
CAMVID_COLOURS = np.array(
    [
        (105, 159, 208), (228, 121, 96), (248, 224, 109), (92, 87, 100), (234, 205, 250),
        (0, 74, 13), (255, 140, 0), (123, 147, 158), (24, 50, 190), (187, 18, 53), (75, 217, 183),
    ],
    dtype=np.uint8,
)  # fmt: skip

#: The synthetic scenes' classes for display, in the order of ``SCENE_CLASSES``.
SCENE_COLOURS = np.array(
    [(187, 187, 187), (213, 94, 0), (3, 115, 180), (27, 116, 69), (240, 228, 65), (170, 97, 136)],
    dtype=np.uint8,
)

#: Four regions of a photograph.
REGION_COLOURS = np.array(
    [(86, 180, 233), (213, 94, 0), (240, 228, 66), (0, 80, 140)], dtype=np.uint8
)

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
_VISION = {
    "normal": np.eye(3),
    "protan": np.array(
        [
            (0.152286, 1.052583, -0.204868),
            (0.114503, 0.786281, 0.099216),
            (-0.003882, -0.048116, 1.051998),
        ]
    ),
    "deutan": np.array(
        [
            (0.367322, 0.860646, -0.227968),
            (0.280085, 0.672501, 0.047413),
            (-0.011820, 0.042940, 0.968881),
        ]
    ),
}
_TO_XYZ = np.array(  # from linear sRGB
    [
        (0.4124564, 0.3575761, 0.1804375),
        (0.2126729, 0.7151522, 0.0721750),
        (0.0193339, 0.1191920, 0.9503041),
    ]
)


def street() -> np.ndarray:
    """Return the bundled photograph of a street in Lund, (480, 640, 3) uint8.

    Copyright (c) 2014 Mapillary, from OpenSfM; ``street.LICENSE`` beside it has the terms (BSD).
    """
    with Image.open(Path(__file__).parent / "street.jpg") as image:
        return np.asarray(image.convert("RGB"))


def show(axes: Axes, image: np.ndarray, title: str = "", **options: object) -> AxesImage:
    """Draw an image without ticks and frame; ``options`` go to ``imshow``."""
    drawn = axes.imshow(image, **options)
    axes.set_title(title)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return drawn


def paint(
    labels: np.ndarray, palette: np.ndarray = SCENE_COLOURS, truth: np.ndarray | None = None
) -> np.ndarray:
    """Return labels (H, W) in the palette's colours, (H, W, 3) uint8; 255 is white.

    With ``truth``, pixels whose label differs from it are black where the truth is not 255.
    """
    painted = np.where((labels == 255)[..., None], np.uint8(255), colourise(labels, palette))
    if truth is not None:
        painted[(labels != truth) & (truth != 255)] = WRONG
    return painted


def paint_over(image: np.ndarray, labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return the image (H, W, 3) with its labels laid over it, two thirds opaque."""
    return overlay(image, labels.astype(np.uint8), palette, 0.65)


def paint_strokes(image: np.ndarray, marks: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return the image with brush strokes, marks (H, W) of labels or 255, on a black rim."""
    from scipy.ndimage import maximum_filter

    drawn = image.copy()
    drawn[maximum_filter(marks != 255, 5)] = 0
    drawn[marks != 255] = palette[marks[marks != 255]]
    return drawn


def add_legend(
    figure: Figure,
    names: Sequence[str],
    palette: np.ndarray,
    ignored: bool = False,
    wrong: bool = False,
    columns: int | None = None,
    where: str = "outside lower center",
) -> None:
    """Add a legend of colour squares below a figure, with "ignored" (white) and "wrong" (black)."""
    from matplotlib.lines import Line2D

    entries = list(zip(names, palette, strict=True))
    entries += [("ignored", IGNORED)] * ignored + [("wrong", WRONG)] * wrong
    squares = [
        Line2D([], [], marker="s", ls="", ms=11, mfc=np.array(colour) / 255, mec="0.5", mew=0.6)
        for _, colour in entries
    ]
    figure.legend(
        squares, [name for name, _ in entries], loc=where, ncols=columns or len(entries),
        columnspacing=1, handletextpad=0.2,
    )  # fmt: skip


def add_values(axes: Axes, table: np.ndarray, form: str = "{:.1f}", limit: float = 0.5) -> None:
    """Write the numbers of a table (rows, columns) on its image, white on dark cells, best bold.

    ``limit`` is the luminance below which a cell counts as dark.
    """
    drawn = axes.images[-1]
    for (row, column), value in np.ndenumerate(table):
        luminance = np.array(drawn.to_rgba(value)[:3]) @ (0.299, 0.587, 0.114)
        axes.text(
            column, row, form.format(value), ha="center", va="center", fontsize=14,
            color="white" if luminance < limit else "black",
            weight="bold" if value == np.max(table) else "normal",
        )  # fmt: skip
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def add_square(
    axes: Axes, centre: tuple[float, float], width: float, colour: str, **options: object
) -> None:
    """Draw the outline of a square around ``centre`` (row, column), such as a receptive field.

    A dark line below the coloured one keeps it visible on any image.
    """
    from matplotlib.patches import Rectangle

    corner = (centre[1] - width / 2, centre[0] - width / 2)
    for edge, weight in (("black", 4.0), (colour, 2.0)):
        axes.add_patch(Rectangle(corner, width, width, fill=False, ec=edge, lw=weight, **options))


def simulate(colours: np.ndarray, vision: str) -> np.ndarray:
    """Return sRGB colours (..., 3) uint8 as seen with "protan", "deutan" or "normal" vision."""
    linear = np.clip(_linear(colours) @ _VISION[vision].T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def to_lab(colours: np.ndarray) -> np.ndarray:
    """Convert sRGB colours (..., 3) uint8 to CIELAB under D65: L in 0..100, a and b signed."""
    xyz = _linear(colours) @ _TO_XYZ.T / _TO_XYZ.sum(axis=1)
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def smallest_difference(palette: np.ndarray, vision: str = "normal") -> float:
    """Return the smallest CIELAB distance between two colours of a palette (K, 3).

    2 can just be seen side by side; classes of an image should be 15 or more apart.
    """
    lab = to_lab(simulate(palette, vision))
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1)
    return float(apart[np.triu_indices(len(lab), 1)].min())


def _linear(colours: np.ndarray) -> np.ndarray:
    encoded = np.asarray(colours) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
