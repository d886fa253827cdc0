"""Your own pictures and masks, in folders laid out as CamVid's."""

from __future__ import annotations

import os
from pathlib import Path

from minideeplab.data.folders import FolderDataset, by_stem, check_pairs, require_folder
from minideeplab.data.palettes import voc_palette

CLASS_FILE = "classes.txt"


class OwnFolder(FolderDataset):
    """``root/train`` and ``root/trainannot``, ``val`` and ``valannot``, and ``root/classes.txt``.

    The text file has one class name a line: line 1 is label 0. Masks are palette or grey PNGs of
    those labels, 255 where nothing is known, or colour pictures in PASCAL VOC's colours.

    Args:
        root: the folder that holds all of these.
        split: the name of a folder of pictures; any name will do.

    Raises:
        FileNotFoundError: a folder or the list of classes is missing.
        ValueError: no class names or too many, or images and labels that do not pair up.
    """

    def __init__(self, root: str | os.PathLike[str], split: str = "train"):
        self.classes = _read_classes(Path(root, CLASS_FILE))
        self.palette = voc_palette(len(self.classes))
        folder = require_folder(Path(root, split), f"the pictures of split {split!r}")
        masks = require_folder(Path(root, f"{split}annot"), f"the masks of split {split!r}")
        images, labels = by_stem(folder), by_stem(masks)
        check_pairs(images, labels, folder)
        names = sorted(images)
        super().__init__(names, [images[n] for n in names], [labels[n] for n in names])


def _read_classes(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the class names, one a line")
    names = [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    if not 1 <= len(names) <= 255:
        raise ValueError(f"{path}: {len(names)} class names, expected 1 to 255, one a line")
    return names
