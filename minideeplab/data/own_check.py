"""Checks a whole folder of own data: its classes, every split, and images that two splits share."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from pathlib import Path

from minideeplab.data.checking import check_folders, find_pairs
from minideeplab.data.exports import conversion
from minideeplab.data.folders import files_by_stem, require_folder
from minideeplab.data.own import CLASS_FILE, Classes, class_file, read_classes
from minideeplab.data.report import Report

QUICK = 100  # pairs of a split that the check before training reads


def check_own(
    root: str | os.PathLike[str],
    pairs: list[tuple[Path, Path]] | None = None,
    num_classes: int | None = None,
    quick: bool = False,
) -> tuple[Classes | None, list[Report]]:
    """Return the classes of a folder, None without a file of them, and a report for each split.

    Args:
        root: holds ``train`` + ``trainannot`` and so on, and classes.txt.
        pairs: folders of images and of masks; by default those of the known layouts in ``root``.
        num_classes: expected number of classes, by default that of the file.
        quick: read at most 100 pairs of a split, and of images the header only.

    Raises:
        FileNotFoundError: no folders of images and masks; names a way to convert other formats.
        ValueError: a file of classes that cannot be read.
    """
    file, classes = class_file(root), None
    if file.is_file():
        classes = read_classes(file)
    try:
        pairs = pairs or find_pairs(root)
    except FileNotFoundError:
        hint = conversion(root)
        if not hint:
            raise
        raise FileNotFoundError(f"{root}: no folders of images and masks{hint}") from None
    reports = []
    for images, truths in pairs:
        require_folder(images, "images")
        require_folder(truths, "masks")
        report = check_folders(
            images,
            truths,
            num_classes or (len(classes.names) if classes else None),
            classes.palette if classes and classes.coloured else None,
            classes.ignored if classes else (),
            QUICK if quick else None,
        )
        if report.pairs == 0:
            report.problems["no pair: street.jpg goes with the mask street.png"] = []
            report.notes += filter(None, [conversion(truths).removeprefix("; ")])
        reports.append(report)
    _check_splits(Path(root), pairs, classes, reports)
    return classes, reports


def _check_splits(
    root: Path, pairs: list[tuple[Path, Path]], classes: Classes | None, reports: list[Report]
) -> None:
    """Report images that two splits share; note what training will miss."""
    names = [images.name for images, _ in pairs]
    if "train" in names:
        report = reports[names.index("train")]
        if classes is None:
            report.notes.append(f"no {CLASS_FILE} in {root}: train needs one class name a line")
        if "val" not in names:
            report.notes.append("no val + valannot: train --val-fraction 0.2 takes some of train")
    if classes is not None and classes.remark:
        reports[0].notes.append(classes.remark)
    if len(pairs) > 1 and len(set(pairs)) == len(pairs):
        for k in range(1, len(pairs)):
            for before in range(k):
                for path in same_images(pairs[before][0], pairs[k][0]):
                    text = f"images that are in {names[before]} too: the scores would be too high"
                    reports[k].problem(text, path)


def same_images(one: Path, other: Path) -> list[Path]:
    """Return the images of ``other`` whose content is that of a file of ``one``."""
    if one == other:
        return []
    by_size: dict[int, list[Path]] = defaultdict(list)
    for paths in files_by_stem(one).values():
        for path in paths:
            by_size[path.stat().st_size].append(path)
    found = []
    for paths in files_by_stem(other).values():
        for path in paths:
            alike = by_size.get(path.stat().st_size, [])
            if alike and _digest(path) in map(_digest, alike):
                found.append(path)
    return found


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
