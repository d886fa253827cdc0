"""Base class of data sets in folders, and functions that pair images with label images."""

from __future__ import annotations

import os
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.data.intensity import find_intensity_range
from minideeplab.io import IMAGE_SUFFIXES, read_image, read_labels

#: (folder of images, folder of masks), below the data's own folder.
LAYOUTS = (
    ("train", "trainannot"), ("val", "valannot"), ("test", "testannot"),
    ("JPEGImages", "SegmentationClass"), ("images", "masks"), ("images", "labels"),
    ("701_StillsRaw_full", "LabeledApproved_full"),
)  # fmt: skip
SPLITS = ("train", "val", "test")


class FolderDataset:
    """A data set of image files and label image files.

    Attributes:
        names: one short name per pair.
        classes: class names in the order of the labels.
        palette: (K, 3) uint8, a colour per class.
        ignore_index: the label that does not count, 255.
        intensity_range: grey values (low, high) of images of more than 8 bits that become 0 and
            255; None for images of 8 bits. By default that of the data set itself.
    """

    ignore_index = 255
    classes: list[str]
    palette: np.ndarray

    def __init__(self, names: list[str], images: list[Path], labels: list[Path]):
        self.names = names
        self.image_paths = images
        self.label_paths = labels

    @cached_property
    def intensity_range(self) -> tuple[float, float] | None:
        """Grey values (low, high) that become 0 and 255; None for images of 8 bits."""
        return find_intensity_range(self.image_paths)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read pair ``index``: image (H, W, 3) uint8 RGB, labels (H, W) uint8.

        Raises:
            IndexError: no such pair.
            ValueError: a damaged image, sizes that differ, or a label that is not a class.
        """
        image = read_image(self.image_paths[index], self.intensity_range)
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
    """Return the image files of a folder by their names without suffix.

    Hidden files, such as macOS's ``._a.jpg``, are left out. Raises ValueError for two files whose
    names differ by the suffix only.
    """
    files = files_by_stem(folder)
    for stem, paths in files.items():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise ValueError(f"{folder}: {names} have the same name {stem!r}; keep one of them")
    return {stem: paths[0] for stem, paths in files.items()}


def files_by_stem(folder: Path) -> dict[str, list[Path]]:
    """Return all image files of a folder by their names without suffix, hidden files left out."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
            found[path.stem].append(path)
    return dict(found)


def without_camvid_suffix(masks: dict[str, Any], images: dict[str, Any]) -> dict[str, Any]:
    """Return masks by the names of their images: ``NAME_L`` is the mask of ``NAME`` (CamVid)."""
    return {
        stem.removesuffix("_L") if stem.removesuffix("_L") in images else stem: value
        for stem, value in masks.items()
    }


def split_folders(root: str | os.PathLike[str], split: str) -> tuple[Path, Path]:
    """Return the folders of a split's images and masks: ``SPLIT`` and ``SPLITannot``.

    Where there is no ``train``, another of ``LAYOUTS`` is the split "train". Raises
    FileNotFoundError for a missing folder.
    """
    pairs = [(split, f"{split}annot")]
    if split == "train":
        pairs += [pair for pair in LAYOUTS if pair[0] not in SPLITS]
    for names in pairs:
        folder, masks = (Path(root, name) for name in names)
        if folder.is_dir() and masks.is_dir():
            return folder, masks
    layout = f"{split}/ and {split}annot/ under {root}, the images and masks of split {split!r}"
    missing = next(p for p in (Path(root, name) for name in pairs[0]) if not p.is_dir())
    raise FileNotFoundError(f"{missing}: no such folder; expected {layout}")


def pair_folders(
    root: str | os.PathLike[str], split: str
) -> tuple[list[str], list[Path], list[Path]]:
    """Return names, images and label images of a split, as ``split_folders`` finds them.

    Raises FileNotFoundError for a missing folder, ValueError unless there are images and each
    image has one label image of the same name. Images without one are left out in layouts that
    are not made for training, such as ``JPEGImages`` + ``SegmentationClass``.
    """
    folder, masks = split_folders(root, split)
    images = by_stem(folder)
    labels = without_camvid_suffix(by_stem(masks), images)
    if not images:
        raise ValueError(f"{folder}: no images in this folder")
    whole = masks.name.endswith("annot")
    for have, lack, what in ((images, labels, "labels"), (labels, images, "an image")):
        alone = sorted(have.keys() - lack.keys())
        if alone and (whole or have is labels):
            raise ValueError(
                f"{have[alone[0]]} has no {what.split()[-1]}: {len(alone)} of {len(have)} files "
                f"lack {what} of the same name"
            )
    names = sorted(images.keys() & labels.keys())
    return names, [images[n] for n in names], [labels[n] for n in names]
