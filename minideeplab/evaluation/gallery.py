"""Figures of the worst images beside their truth, and the legend of the class colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from minideeplab import visualize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WRONG, RIGHT, IGNORED = (20, 20, 20), (226, 226, 226), (255, 255, 255)  # in the map of errors
MOST_IN_A_ROW = 11  # entries of a legend below a gallery


def failure_gallery(
    failures: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]],
    classes: Sequence[str],
    palette: np.ndarray,
    ignore_index: int = 255,
) -> Figure:
    """Return a figure with one row an image: image, truth, labels, and where they differ.

    Args:
        failures: (title, image (H, W, 3) uint8, truth (H, W), labels (H, W)), worst first. They
            may differ in size; all are drawn at the size of the first.
        classes: names, in the order of the labels.
        palette: (C, 3) uint8.
        ignore_index: the label of the truth that does not count.

    Returns:
        a figure without a window; ``figure.savefig(path)`` writes it.

    Raises:
        ValueError: no failures.
    """
    if not failures:
        raise ValueError("failures: expected at least one image, got none")
    size = failures[0][2].shape
    panels = []
    for title, image, truth, labels in failures:
        panels += [
            (title, _fit(image, size)),
            ("truth", _fit(visualize.colourise(truth, palette), size)),
            ("labelled as", _fit(visualize.colourise(labels, palette), size)),
            ("wrong", _fit(_errors(labels, truth, ignore_index), size)),
        ]
    colours = [(classes[label], palette[label]) for label in _most_frequent(failures, len(classes))]
    return visualize.panels(panels, columns=4, legend=colours)


def _most_frequent(failures: Sequence[tuple], num_classes: int) -> list[int]:
    """Return the classes to name below a gallery, at most a row, in the order of the labels."""
    parts = [part for row in failures for part in row[2:]]
    pixels = sum(np.bincount(part.ravel(), minlength=256) for part in parts)[:num_classes]
    often = np.argsort(-pixels, kind="stable")[:MOST_IN_A_ROW]
    return sorted(int(label) for label in often if pixels[label])


def legend(classes: Sequence[str], palette: np.ndarray) -> Figure:
    """Return a figure of the classes' colours with their numbers and names; 255 is what is ignored.

    classes: C names; palette: (C, 3) uint8. Returns a figure without a window.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    names = [f"{number}  {name}" for number, name in enumerate(classes)] + ["255  ignored"]
    colours = visualize.colourise(np.array([[*range(len(classes)), 255]]), palette)[0] / 255
    columns = -(-len(names) // 12)
    figure = Figure(figsize=(2.2 * columns, 0.3 * -(-len(names) // columns) + 0.2), dpi=110)
    figure.legend(
        handles=[
            Patch(facecolor=colour, edgecolor="0.5", linewidth=0.5, label=name)
            for name, colour in zip(names, colours, strict=True)
        ],
        loc="center",
        ncols=columns,
        frameon=False,
        handlelength=1.4,
        handleheight=1.4,
    )
    return figure


def _fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an (H, W, 3) uint8 image to ``size`` by nearest neighbour."""
    if image.shape[:2] == size:
        return image
    resized = Image.fromarray(image).resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(resized)


def _errors(labels: np.ndarray, truth: np.ndarray, ignore_index: int) -> np.ndarray:
    image = np.where((labels == truth)[:, :, None], RIGHT, WRONG)
    image[truth == ignore_index] = IGNORED
    return image.astype(np.uint8)
