"""Draw labels and probabilities, and titled panels for a lecture.

Everything here returns arrays or a Matplotlib figure; nothing opens a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minideeplab.visualize.palettes import full_palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRIP = 256  # rows that are mixed at a time


def colourise(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Paint labels (H, W) in the palette's colours (K, 3): (H, W, 3) uint8; 255 is pale yellow."""
    return full_palette(palette)[np.asarray(labels, dtype=np.uint8)]


def overlay(
    image: np.ndarray, labels: np.ndarray, palette: np.ndarray, alpha: float = 0.5
) -> np.ndarray:
    """Lay the labels' colours over an image, with a fine outline around every region.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W); 255 leaves the image as it is.
        palette: (K, 3) uint8.
        alpha: 0 shows the image alone, 1 the colours alone.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: sizes that differ or ``alpha`` outside 0..1.
    """
    if labels.shape != image.shape[:2]:
        raise ValueError(f"labels: expected {image.shape[:2]} as the image, got {labels.shape}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: expected a number in 0..1, got {alpha}")
    mixed = np.empty(image.shape, np.uint8)
    for first in range(0, len(labels), STRIP):  # the numbers in between take much memory
        part = slice(first, first + STRIP)
        strength = np.where(labels[part] == 255, 0, round(256 * alpha)).astype(np.uint16)
        strength, colours = strength[:, :, None], colourise(labels[part], palette)
        mixed[part] = (image[part] * (256 - strength) + colours * strength) >> 8
        if alpha:
            edge = outline(labels[first : first + STRIP + 1])  # with the row below
            mixed[part][edge[:STRIP]] = 255
    return mixed


def outline(labels: np.ndarray) -> np.ndarray:
    """Mark the pixels whose right or lower neighbour has another label: (H, W) bool."""
    edge = np.zeros(labels.shape, dtype=bool)
    edge[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    edge[:-1] |= labels[1:] != labels[:-1]
    return edge


def confidence(probabilities: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Blend the palette's colours by probability: (C, H, W) -> (H, W, 3) uint8.

    A pixel of probability 1 has the colour of its class, others a mixture.
    """
    colours = np.tensordot(probabilities, palette.astype(np.float32), axes=(0, 0))
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)


def panels(
    images: Sequence[tuple[str, np.ndarray]],
    columns: int,
    title: str = "",
    legend: Sequence[tuple[str, np.ndarray]] = (),
    width: float = 11.0,
) -> Figure:
    """Arrange titled images of one size in rows, with a legend of colours below.

    Args:
        images: (title, (H, W, 3) uint8) pairs, row by row.
        columns: images in a row.
        title: a headline.
        legend: (name, (3,) uint8 colour) pairs.
        width: width of the figure in inches; the height follows.

    Returns:
        a figure without a window; ``figure.savefig(path)`` writes it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(images) // columns)
    height, breadth = images[0][1].shape[:2]
    head, foot = 0.5 if title else 0.1, 0.5 if legend else 0.1
    cell = width / columns
    cell_height = (cell - 0.15) * height / breadth + 0.38  # the image and its title
    total = rows * cell_height + head + foot
    figure = Figure(figsize=(width, total), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    for index, (name, image) in enumerate(images):
        row, column = divmod(index, columns)
        bottom = total - head - (row + 1) * cell_height + 0.08
        box = (column * cell + 0.075, bottom, cell - 0.15, cell_height - 0.38)
        _draw_panel(
            figure, [v / t for v, t in zip(box, (width, total) * 2, strict=True)], name, image
        )
    if title:
        figure.text(0.075 / width, 1 - 0.13 / total, title, size=14, weight="bold", va="top")
    if legend:
        _draw_legend(figure, legend)
    return figure


def _draw_panel(figure: Figure, box: Sequence[float], name: str, image: np.ndarray) -> None:
    axes = figure.add_axes(box)
    axes.imshow(image, interpolation="nearest")
    axes.set_title(name, size=10.5, pad=4, loc="left")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("0.7")
        spine.set_linewidth(0.6)


def _draw_legend(figure: Figure, legend: Sequence[tuple[str, np.ndarray]]) -> None:
    from matplotlib.patches import Patch

    patches = [
        Patch(facecolor=np.asarray(colour) / 255, edgecolor="0.5", linewidth=0.5, label=name)
        for name, colour in legend
    ]
    figure.legend(
        handles=patches,
        loc="lower center",
        ncols=len(patches),
        frameon=False,
        fontsize=10,
        handlelength=1.1,
        handleheight=1.1,
        columnspacing=1.4,
    )
