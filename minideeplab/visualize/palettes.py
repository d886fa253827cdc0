"""Class names and colours of the data sets."""

from __future__ import annotations

import numpy as np

VOID_COLOUR = (224, 224, 192)  # PASCAL VOC's colour of label 255
VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip

CAMVID_CLASSES = (
    "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car",
    "Pedestrian", "Bicyclist",
)  # fmt: skip
CAMVID_PALETTE = np.array(
    [
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222),
        (128, 128, 0), (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ],
    dtype=np.uint8,
)  # fmt: skip

SCENE_CLASSES = ("background", "disk", "box", "triangle", "star", "bar")
# Okabe and Ito's colours, distinguishable with every common colour blindness
SCENE_PALETTE = np.array(
    [(60, 60, 66), (213, 94, 0), (0, 114, 178), (0, 158, 115), (240, 228, 66), (204, 121, 167)],
    dtype=np.uint8,
)


def voc_palette(size: int = 256) -> np.ndarray:
    """Return PASCAL VOC's colour map, (size, 3) uint8.

    The bits of a label, three at a time from the lowest, become the bits of red, green and blue
    from the highest. Label 255 is the pale yellow (224, 224, 192) of the void borders.
    """
    labels = np.arange(size)
    channels = [
        sum(((labels >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(8))
        for channel in range(3)
    ]
    return np.stack(channels, axis=1).astype(np.uint8)


def full_palette(palette: np.ndarray) -> np.ndarray:
    """Return ``palette`` (K, 3) filled up to (256, 3) uint8, the void colour at 255."""
    full = np.zeros((256, 3), dtype=np.uint8)
    full[255] = VOID_COLOUR
    full[: len(palette)] = palette
    return full
