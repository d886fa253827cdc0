"""Base class of data sets in folders, and functions that pair images with label images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from minideeplab.io import IMAGE_SUFFIXES, read_image, read_labels


class FolderDataset:
    """A data set of image files and label image files.

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
            ValueError: a damaged image, sizes that differ, or a label that is not a class.
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
        """Return one file's labels (H, W) uint8; data sets with another encoding override this."""
        return read_labels(path, self.palette)


def require_folder(path: Path, what: str) -> Path:
    """Return ``path`` if it is a folder, else raise FileNotFoundError saying what was expected."""
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder; expected {what}")
    return path


def by_stem(folder: Path) -> dict[str, Path]:
    """Return the image files of a folder by their names without suffix."""
    return {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES}


def pair_folders(
    root: str | os.PathLike[str], split: str
) -> tuple[list[str], list[Path], list[Path]]:
    """Return names, images and label images of ``root/SPLIT`` and ``root/SPLITannot``.

    Raises FileNotFoundError for a missing folder, ValueError unless there are images and each
    image has one label image of the same name.
    """
    layout = f"{split}/ and {split}annot/ under {root}, the images and masks of split {split!r}"
    folder, masks = Path(root, split), Path(root, f"{split}annot")
    images, labels = (by_stem(require_folder(path, layout)) for path in (folder, masks))
    if not images:
        raise ValueError(f"{folder}: no images in this folder")
    for have, lack, what in ((images, labels, "labels"), (labels, images, "an image")):
        alone = sorted(have.keys() - lack.keys())
        if alone:
            raise ValueError(
                f"{have[alone[0]]} has no {what.split()[-1]}: {len(alone)} of {len(have)} files "
                f"lack {what} of the same name"
            )
    names = sorted(images)
    return names, [images[n] for n in names], [labels[n] for n in names]
