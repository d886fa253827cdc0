"""A data set of your own images and masks, in CamVid's folder layout, and its classes.txt."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from minideeplab.data.folders import FolderDataset, pair_folders
from minideeplab.visualize.palettes import voc_palette

CLASS_FILE = "classes.txt"
COLOURED = re.compile(r"(.*\S)\s+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})")  # name, R, G, B


class OwnFolder(FolderDataset):
    """``root/train`` and ``root/trainannot``, ``val`` and ``valannot``, and ``root/classes.txt``.

    The text file has one class a line, line 1 is label 0: a name, or a name and its colour in masks
    and results, ``car 64 0 128``. Masks are palette or grey PNGs of those labels, 255 where the
    label is unknown, or colour images. Without colours in the file, PASCAL VOC's palette is used.

    Args:
        root: the folder that holds these.
        split: the name of a folder of images; any name.

    Raises:
        FileNotFoundError: a folder or the list of classes is missing.
        ValueError: a list that cannot be read, or images and labels that do not pair up.
    """

    def __init__(self, root: str | os.PathLike[str], split: str = "train"):
        self.classes, self.palette = read_classes(Path(root, CLASS_FILE))
        super().__init__(*pair_folders(root, split))


def read_classes(path: Path) -> tuple[list[str], np.ndarray]:
    """Return the class names of a classes.txt, and its palette (C, 3) uint8.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no class or more than 255, colours for some classes only, or one twice.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the class names, one a line")
    lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    if not 1 <= len(lines) <= 255:
        raise ValueError(f"{path}: {len(lines)} class names, expected 1 to 255, one a line")
    matches = [COLOURED.fullmatch(line) for line in lines]
    if not any(matches):
        return lines, voc_palette(len(lines))
    if not all(matches):
        plain = next(line for line, match in zip(lines, matches, strict=True) if not match)
        raise ValueError(f"{path}: {plain!r} has no colour; expected one for all or for none")
    palette = np.array([[int(part) for part in match.groups()[1:]] for match in matches])
    if palette.max() > 255 or len(np.unique(palette, axis=0)) < len(palette):
        raise ValueError(f"{path}: expected colours of 0..255, each for one class only")
    return [match[1] for match in matches], palette.astype(np.uint8)
