"""A data set of your own images and masks, and its classes.txt."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minideeplab.data.folders import FolderDataset, pair_folders
from minideeplab.data.masks import read_mask
from minideeplab.visualize.palettes import voc_palette

CLASS_FILE = "classes.txt"
#: Read where there is no classes.txt: CVAT's label map, and CamVid's 32 official colours.
OTHER_FILES = ("labelmap.txt", "label_colors.txt")
COLOURED = re.compile(
    r"(?P<name>.*[^\s,;])[\s,;]+(?P<r>\d{1,3})[\s,;]+(?P<g>\d{1,3})[\s,;]+(?P<b>\d{1,3})"
)
HEX = re.compile(r"(?P<name>.*[^\s,;])[\s,;]+#(?P<hex>[0-9a-fA-F]{6})")
COLOUR_FIRST = re.compile(r"(?P<r>\d{1,3})\s+(?P<g>\d{1,3})\s+(?P<b>\d{1,3})\s+(?P<name>\S.*)")
CVAT = re.compile(r"(?P<name>[^:]+):(?P<r>\d{1,3}),(?P<g>\d{1,3}),(?P<b>\d{1,3}):.*")


@dataclass(frozen=True)
class Classes:
    """The classes of a file: ``names``, ``palette`` (C, 3) uint8, and how masks are drawn.

    ``coloured`` says whether the palette is the file's (else it is PASCAL VOC's, for results only);
    ``ignored`` has colours of unknown labels; ``remark`` is a note on the file, or empty.
    """

    names: list[str]
    palette: np.ndarray
    coloured: bool = False
    ignored: tuple[tuple[int, int, int], ...] = ()
    remark: str = ""

    def read_mask(self, path: str | os.PathLike[str]) -> np.ndarray:
        """Return a mask's labels (H, W) uint8, as ``masks.read_mask``."""
        return read_mask(path, self.palette if self.coloured else None, self.ignored)


class OwnFolder(FolderDataset):
    """``root/train`` and ``root/trainannot``, ``val`` and ``valannot``, and ``root/classes.txt``.

    The text file has one class a line, line 1 is label 0: a name, or a name and its colour in masks
    and results, ``car 64 0 128``. Masks are palette or grey PNGs of those labels, 255 where the
    label is unknown, or images in the classes' colours. The split "train" may also be ``images`` +
    ``masks`` (or ``labels``), or ``JPEGImages`` + ``SegmentationClass``.

    Args:
        root: the folder that holds these.
        split: the name of a folder of images; any name.

    Raises:
        FileNotFoundError: a folder or the list of classes is missing.
        ValueError: a list that cannot be read, or images and labels that do not pair up.
    """

    def __init__(self, root: str | os.PathLike[str], split: str = "train"):
        self.listed = read_classes(class_file(root))
        self.classes, self.palette = self.listed.names, self.listed.palette
        super().__init__(*pair_folders(root, split))

    def read_labels(self, path: Path) -> np.ndarray:
        """Return one file's labels (H, W) uint8."""
        return self.listed.read_mask(path)


def class_file(root: str | os.PathLike[str]) -> Path:
    """Return the file of the classes: classes.txt, or if that is missing another known one."""
    known = [Path(root, name) for name in (CLASS_FILE, *OTHER_FILES)]
    return next((path for path in known if path.is_file()), known[0])


def read_classes(path: Path) -> Classes:
    """Return the classes of a classes.txt, CVAT's labelmap.txt or CamVid's label_colors.txt.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no class or more than 255, one twice, or colours for some classes only.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the class names, one a line")
    text, remark = _decode_text(path)
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    forms = (COLOURED, HEX, COLOUR_FIRST, CVAT)
    matches = [next(filter(None, (f.fullmatch(line) for f in forms)), None) for line in lines]
    if any(matches) and not all(matches):
        plain = next(line for line, match in zip(lines, matches, strict=True) if not match)
        raise ValueError(f"{path}: {plain!r} has no colour; expected one for all or for none")
    ignored = [m for m in matches if m and m.re is COLOUR_FIRST and m["name"].lower() == "void"]
    matches = [m for m in matches if m not in ignored]
    names = [match["name"] for match in matches] if any(matches) else lines
    _check_names(names, path)
    if not any(matches):
        return Classes(names, voc_palette(len(names)), remark=remark)
    palette = np.array([_colour(match) for match in matches])
    if palette.max() > 255 or len(np.unique(palette, axis=0)) < len(palette):
        raise ValueError(f"{path}: expected colours of 0..255, each for one class only")
    void = tuple(_colour(match) for match in ignored)
    return Classes(names, palette.astype(np.uint8), True, void, remark)


def _colour(match: re.Match[str]) -> tuple[int, int, int]:
    if match.re is HEX:
        red, green, blue = bytes.fromhex(match["hex"])
        return red, green, blue
    return int(match["r"]), int(match["g"]), int(match["b"])


def _check_names(names: list[str], path: Path) -> None:
    if not 1 <= len(names) <= 255:
        raise ValueError(f"{path}: {len(names)} class names, expected 1 to 255, one a line")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: {twice[0]!r} is there twice; expected every class once")


def _decode_text(path: Path) -> tuple[str, str]:
    """Return a file's text and a remark on its encoding: UTF-8, UTF-16 or Windows' Latin-1."""
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16"), f"{path.name} is in UTF-16; UTF-8 is the usual encoding"
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
        return text, f"{path.name} is not UTF-8 and was read as Latin-1"
