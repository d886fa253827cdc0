"""Checks images and masks for mistakes that make a trained network label everything alike."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from minideeplab.data.folders import LAYOUTS, files_by_stem, without_camvid_suffix
from minideeplab.data.intensity import evenly, find_intensity_range
from minideeplab.data.label_values import check_balance, check_values
from minideeplab.data.masks import (
    LOSSY_SUFFIXES,
    Colours,
    UnknownColours,
    count_colours,
    describe_colours,
    image_mode,
    read_mask,
)
from minideeplab.data.report import Report
from minideeplab.io import open_image, read_image, read_labels

ORIENTATION = 0x0112  # the EXIF tag; 1 is upright, 5 to 8 exchange height and width


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
    ignored: Colours = (),
    most: int | None = None,
) -> Report:
    """Read every image and mask of the same name and return what would make training fail.

    A mask is a palette or grey image whose values are class numbers from 0, 255 where the label is
    unknown, or, with a ``palette`` (C, 3), an image in those colours or the ``ignored`` ones.
    ``num_classes`` is the expected number of classes; None takes the largest value. With ``most``,
    only so many pairs are read, evenly spaced, and of images the header alone.
    """
    report = Report(f"{images} + {masks}")
    pairs = _pair(report, Path(images), Path(masks))
    report.pairs = len(pairs)
    used: dict[int, list[Path]] = {}
    for image, mask in pairs if most is None else evenly(pairs, most):
        for value in _check_pair(report, image, mask, (palette, ignored), quick=most is not None):
            used.setdefault(value, []).append(mask)
    check_values(report, used, num_classes)
    check_balance(report, num_classes)
    _add_notes(report, [image for image, _ in pairs])
    return report


def _pair(report: Report, images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Return images with their masks; report files without a partner and names that are taken."""
    found = files_by_stem(images)
    drawn = without_camvid_suffix(files_by_stem(masks), found)
    for files in (found, drawn):
        for stem, paths in files.items():
            if len(paths) > 1:
                names = f"files that differ by their suffix only ({', '.join(map(_name, paths))})"
                report.problems.setdefault(f"{names}; keep one", []).append(paths[0])
            files[stem] = paths[:1]
    alone = sorted(found.keys() - drawn.keys())
    if masks.name.endswith("annot"):  # the layout in which training needs whole pairs
        for stem in alone:
            report.problem("images without a mask of the same name", found[stem][0])
    elif alone:
        first = found[alone[0]][0].name
        report.notes.append(f"images without a mask of the same name: {len(alone)}, as {first}")
    for stem in sorted(drawn.keys() - found.keys()):
        report.problem("masks without an image of the same name", drawn[stem][0])
    return [(found[stem][0], drawn[stem][0]) for stem in sorted(found.keys() & drawn.keys())]


def _name(path: Path) -> str:
    return path.name


def _check_pair(
    report: Report,
    image: Path,
    mask: Path,
    colours: tuple[np.ndarray | None, Colours],
    quick: bool,
) -> list[int]:
    """Check one pair; return the values in its mask."""
    try:
        size, orientation = _size_and_orientation(image)
        if not quick:
            read_image(image)
    except (OSError, ValueError, SyntaxError) as error:
        report.failure("images that cannot be read", image, error)
        return []
    try:
        labels = read_mask(mask, *colours)
    except (OSError, ValueError) as error:
        _report_mask(report, mask, error, colours[0])
        return []
    if mask.suffix.lower() in LOSSY_SUFFIXES:
        report.problem("masks in a lossy format, which changes values; expected PNG", mask)
    if labels.shape != size:
        rotated = orientation >= 5 and labels.shape == size[::-1]
        report.problem(
            "masks of another size than their image"
            + ("; the photo is turned by its EXIF tag, the mask is not" if rotated else ""),
            mask,
        )
    elif orientation != 1:
        report.turned.append(image)
    if colours[0] is None and image_mode(mask) == "P":
        _compare_palettes(report, mask)
    counts = np.bincount(labels.ravel(), minlength=256)
    report.pixels += counts
    return np.flatnonzero(counts).tolist()


def _size_and_orientation(path: Path) -> tuple[tuple[int, int], int]:
    """Return an image's upright (height, width) and its EXIF orientation, from the header."""
    image_mode(path)  # says what is wrong with a file that is no image
    with Image.open(path) as image:
        width, height = image.size
        orientation = image.getexif().get(ORIENTATION, 1)
    return ((width, height) if orientation in (5, 6, 7, 8) else (height, width)), orientation


def _report_mask(report: Report, mask: Path, error: Exception, palette: np.ndarray | None) -> None:
    """Report a mask that cannot be read, and count the colours if they are not explained."""
    if not isinstance(error, UnknownColours):
        report.failure("masks that cannot be read", mask, error)
    elif palette is not None:
        report.failure("masks with colours not in the palette", mask, error)
    else:
        text = "masks in colour; expected class numbers in a palette or grey image, or the "
        report.problem(text + "classes' colours in classes.txt", mask)
        for colour, count in count_colours(read_image(mask)).items():
            report.colours[colour] = report.colours.get(colour, 0) + count


def _compare_palettes(report: Report, mask: Path) -> None:
    """Report an indexed mask in which an index has another colour than in an earlier mask."""
    with open_image(mask) as image:
        palette = bytes(image.getpalette() or b"")
    for index in np.unique(read_labels(mask)).tolist():
        colour = palette[3 * index : 3 * index + 3]
        if report.palettes.setdefault(index, colour) != colour:
            text = "indexed masks in which an index has another colour than in other masks"
            report.problem(f"{text}; write the classes' colours into classes.txt", mask)
            return


def _add_notes(report: Report, images: list[Path]) -> None:
    if report.colours:
        report.notes.append(describe_colours(report.colours))
    if report.turned:
        report.notes.append(
            f"{len(report.turned)} photos are turned by their EXIF tag, as "
            f"{report.turned[0].name}: are their masks drawn on the upright photo?"
        )
    grey = find_intensity_range(images)
    if grey is not None:
        report.notes.append(
            "images of more than 8 bits: "
            f"grey values {grey[0]:.4g} to {grey[1]:.4g} become 0 to 255"
        )
