"""What the readers of data sets on disk share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minideeplab.io import IMAGE_SUFFIXES, read_image, read_labels


class FolderDataset:
    """Pairs of picture files: an image and its labels.

    Attributes:
        names: one short name per pair.
        classes: class names in the order of the labels.
        palette: (K, 3) uint8, a colour per class.
        ignore_index: the label that does not count, 255.
    """

    ignore_index = 255
    classes: list[str]
    palette: np.ndarray

    def __init__(self, names: list[str], images: list[Path], labels: list[Path]):
        self.names = names
        self.image_paths = images
        self.label_paths = labels

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read pair ``index``: image (H, W, 3) uint8 RGB, labels (H, W) uint8.

        Raises:
            IndexError: no such pair.
            ValueError: a damaged picture, sizes that differ, or a label that is no class.
        """
        image = read_image(self.image_paths[index])
        path = self.label_paths[index]
        labels = self.read_labels(path)
        if labels.shape != image.shape[:2]:
            raise ValueError(
                f"{path}: labels of {labels.shape[1]}x{labels.shape[0]} pixels for an image of "
                f"{image.shape[1]}x{image.shape[0]}"
            )
        bad = labels[(labels >= len(self.classes)) & (labels != self.ignore_index)]
        if bad.size:
            raise ValueError(
                f"{path}: label {bad[0]} is no class; expected 0..{len(self.classes) - 1}, or "
                f"{self.ignore_index} for ignored"
            )
        return image, labels

    def read_labels(self, path: Path) -> np.ndarray:
        """Read one label picture; data sets with their own encoding override this."""
        return read_labels(path, self.palette)


def require_folder(path: Path, what: str) -> Path:
    """Return ``path`` if it is a folder, else say what was looked for there."""
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder; expected {what}")
    return path


def by_stem(folder: Path) -> dict[str, Path]:
    """Return the pictures of a folder by their names without the ending."""
    return {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES}


def check_pairs(images: dict[str, Path], labels: dict[str, Path], folder: Path) -> None:
    """Raise ValueError unless ``folder`` has pictures, each with its labels, and no labels more."""
    if not images:
        raise ValueError(f"{folder}: no pictures in this folder")
    for have, lack, what in ((images, labels, "labels"), (labels, images, "an image")):
        alone = sorted(have.keys() - lack.keys())
        if alone:
            raise ValueError(
                f"{have[alone[0]]} has no {what.split()[-1]}: {len(alone)} of {len(have)} files "
                f"lack {what} of the same name"
            )
