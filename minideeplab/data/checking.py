"""Checks images and masks for mistakes that make a trained network label everything alike."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minideeplab.data.folders import by_stem
from minideeplab.io import WIDE_MODES, open_image, read_image, read_labels

IGNORE_INDEX = 255
INDEX_MODES = ("P", "L", "1", *WIDE_MODES)
LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp")
STRANGE = "colours not in the palette"  # of the errors of ``read_labels``
SHOWN_COLOURS, SHOWN_CLASSES = 12, 8
RARE, DOMINANT = 0.001, 0.95  # shares of the labelled pixels that are reported
#: (folder of images, folder of masks), below the data's own folder.
LAYOUTS = (
    ("train", "trainannot"), ("val", "valannot"), ("test", "testannot"),
    ("JPEGImages", "SegmentationClass"), ("images", "masks"), ("images", "labels"),
)  # fmt: skip


@dataclasses.dataclass
class Report:
    """Result of a check: ``problems``, each with its files, and ``notes``.

    ``pixels`` counts labels, ``colours`` ("R G B") the pixels of masks in colour.
    """

    pairs: int = 0
    pixels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(256, np.int64))
    problems: dict[str, list[Path]] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    colours: dict[str, int] = dataclasses.field(default_factory=dict)

    def problem(self, text: str, path: Path) -> None:
        """Add a file to those that have a problem."""
        self.problems.setdefault(text, []).append(path)

    def failure(self, text: str, path: Path, error: Exception) -> None:
        """Add a file that could not be read; the first of a kind is noted with the reason."""
        if text not in self.problems:
            self.notes.append(f"{path.name}: {str(error).removeprefix(f'{path}: ')}")
        self.problem(text, path)


def find_pairs(root: str | os.PathLike[str]) -> list[tuple[Path, Path]]:
    """Return the (images, masks) folders below ``root`` that one of ``LAYOUTS`` names.

    Raises FileNotFoundError when there are none, saying which names are looked for.
    """
    folders = [(Path(root, a), Path(root, b)) for a, b in LAYOUTS]
    found = [pair for pair in folders if pair[0].is_dir() and pair[1].is_dir()]
    if not found:
        known = ", ".join(f"{a} + {b}" for a, b in LAYOUTS)
        raise FileNotFoundError(f"{root}: no folders of images and masks; looked for {known}")
    return found


def check_folders(
    images: str | os.PathLike[str],
    masks: str | os.PathLike[str],
    num_classes: int | None = None,
    palette: np.ndarray | None = None,
) -> Report:
    """Read every image and mask of the same name and return what would make training fail.

    A mask is a palette or grey image whose values are class numbers from 0, 255 where the label is
    unknown, or, with a ``palette`` (C, 3), an image in those colours. ``num_classes`` is the
    expected number of classes; None takes the largest value.
    """
    report = Report()
    image_files, mask_files = by_stem(Path(images)), by_stem(Path(masks))
    alone = sorted(image_files.keys() - mask_files.keys())
    if Path(masks).name.endswith("annot"):  # the layout in which training needs whole pairs
        for stem in alone:
            report.problem("images without a mask of the same name", image_files[stem])
    elif alone:
        first = image_files[alone[0]].name
        report.notes.append(f"images without a mask of the same name: {len(alone)}, as {first}")
    for stem in sorted(mask_files.keys() - image_files.keys()):
        report.problem("masks without an image of the same name", mask_files[stem])
    used: dict[int, list[Path]] = {}
    for stem in sorted(image_files.keys() & mask_files.keys()):
        report.pairs += 1
        for value in _check_pair(report, image_files[stem], mask_files[stem], palette):
            used.setdefault(value, []).append(mask_files[stem])
    _check_values(report, used, num_classes)
    _check_balance(report, num_classes)
    if report.colours:
        report.notes.append(_colours_found(report.colours))
    return report


def _check_pair(report: Report, image: Path, mask: Path, palette: np.ndarray | None) -> list[int]:
    """Check one pair; return the values in its mask."""
    try:
        size = read_image(image).shape[:2]
    except (OSError, ValueError) as error:
        report.failure("images that cannot be read", image, error)
        return []
    try:
        with open_image(mask) as opened:
            in_colour = opened.mode not in INDEX_MODES
        if in_colour and palette is None:
            text = "masks in colour; expected class numbers in a palette or grey image, or the "
            report.problem(text + "classes' colours in classes.txt", mask)
            _count_colours(report.colours, mask)
            return []
        labels = read_labels(mask, palette)
    except (OSError, ValueError) as error:
        what = f"with {STRANGE}" if STRANGE in str(error) else "that cannot be read"
        report.failure(f"masks {what}", mask, error)
        return []
    if mask.suffix.lower() in LOSSY_SUFFIXES:
        report.problem("masks in a lossy format, which changes values; expected PNG", mask)
    if labels.shape != size:
        report.problem("masks of another size than their image", mask)
    counts = np.bincount(labels.ravel(), minlength=256)
    report.pixels += counts
    return np.flatnonzero(counts).tolist()


def _count_colours(colours: dict[str, int], mask: Path) -> None:
    pixels = read_image(mask).astype(np.int64) @ [1 << 16, 1 << 8, 1]
    for code, count in zip(*np.unique(pixels, return_counts=True), strict=True):
        colour = f"{code >> 16} {code >> 8 & 255} {code & 255}"
        colours[colour] = colours.get(colour, 0) + int(count)


def _colours_found(colours: dict[str, int]) -> str:
    """Return a note on the colours of the masks, the most frequent first, as in classes.txt."""
    total = sum(colours.values())
    often = sorted(colours, key=colours.__getitem__, reverse=True)[:SHOWN_COLOURS]
    shares = ", ".join(f"{colour} ({colours[colour] / total:.1%})" for colour in often)
    more = "" if len(colours) <= SHOWN_COLOURS else f" and {len(colours) - SHOWN_COLOURS} more"
    return f"colours of the masks: {shares}{more}; classes.txt takes lines such as 'car 64 0 128'"


def _check_values(report: Report, used: dict[int, list[Path]], num_classes: int | None) -> None:
    """Report wrong values; ``used`` has the masks of each value."""
    classes = sorted(value for value in used if value != IGNORE_INDEX)
    wrong = [value for value in classes if num_classes is not None and value >= num_classes]
    if wrong:
        text = (
            f"value{'s' * (len(wrong) > 1)} {_listed(wrong)}; expected 0..{num_classes - 1} or 255"
        )
        if 0 not in used:
            text += "; no pixel is 0: do the masks count from 1?"
        report.problems[text] = sorted({path for value in wrong for path in used[value]})
    elif num_classes is None and classes and len(classes) <= classes[-1] / 2:
        text = f"values {_listed(classes)}: grey levels, not class numbers 0, 1, 2, ..."
        report.problems[text] = used[classes[-1]]
    if classes == [0]:
        rest = "; nothing can be learned"
        if IGNORE_INDEX in used:
            rest = f" and 255, which means ignored{rest}: number an object 1, not 255"
        report.problems[f"masks hold only class 0{rest}"] = used[0]
    if used and IGNORE_INDEX not in used:
        report.notes.append("no pixel is 255 (ignored): is the void drawn as a class?")


def _listed(values: Sequence[object]) -> str:
    """Return the first few values, and how many there are if that is not all."""
    more = f", ... ({len(values)} in all)" if len(values) > SHOWN_CLASSES else ""
    return ", ".join(map(str, values[:SHOWN_CLASSES])) + more


def _check_balance(report: Report, num_classes: int | None) -> None:
    """Note classes that have nearly all pixels, nearly none, or none."""
    counts = report.pixels[: IGNORE_INDEX if num_classes is None else num_classes]
    if not counts.any():
        return
    shares = counts / counts.sum()
    for value in np.flatnonzero(shares > DOMINANT):
        report.notes.append(f"class {value} has {shares[value]:.1%} of the labelled pixels")
    rare = [
        f"class {value} has {shares[value]:.3%}"
        for value in np.flatnonzero((counts > 0) & (shares < RARE))
    ]
    if rare:
        report.notes.append(
            f"{_listed(rare)} of the labelled pixels: weigh the classes (train --class-weights) "
            "or add images"
        )
    missing = np.flatnonzero(counts == 0)
    if num_classes is not None and missing.size:
        report.notes.append(f"no pixel of class {_listed(missing.tolist())}")
