"""``minideeplab check-data``: check images and masks before training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np

    from minideeplab.data.report import Report

SHOWN_VALUES = 40


@click.command("check-data")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--masks", type=click.Path(path_type=Path), help="Masks, where FOLDER has images.")
@click.option("--classes", type=click.IntRange(1, 255), help="Number of classes, if known.")
def command(folder: Path, masks: Path | None, classes: int | None) -> int:
    """Find errors in images and masks, such as those that make predicted masks black.

    Checks for missing partners, unreadable files, masks in colour or of another size, wrong label
    values, images that are in two splits, a missing ignore value (255) and rare classes; exits
    with status 1 if it finds any.
    FOLDER holds train + trainannot (val, test), JPEGImages + SegmentationClass, or images + masks
    or labels.
    With train + trainannot and the classes in classes.txt, train takes it as --data own:FOLDER.
    A line of classes.txt is a name, or a name and its colour in masks drawn in colours: car 64 0
    128; line 1 is label 0.

    \b
    Examples:
      minideeplab check-data ../camvid --classes 12     (CamVid's 12th is void)
      minideeplab check-data photos --masks drawn --classes 3
    """
    from minideeplab.data.own import class_file
    from minideeplab.data.own_check import check_own

    listed, reports = check_own(folder, [(folder, masks)] if masks else None, classes)
    names = [] if listed is None else listed.names
    if names:
        click.echo(f"{class_file(folder)}: {len(names)} classes: {', '.join(names)}")
    for report in reports:
        click.echo(f"{report.title}: {report.pairs} pairs")
        print_findings(report)
        _print_counts(report.pixels, names)
    return int(any(report.problems for report in reports))


def print_findings(report: Report, notes: bool = True, err: bool = False) -> None:
    """Print a report's problems, each with its first files, and its notes."""
    for text, files in report.problems.items():
        some = ", ".join(path.name for path in files[:3]) + (" ..." if len(files) > 3 else "")
        line = f"{len(files)} x {text}: {some}" if files else text
        click.echo(f"  PROBLEM {line}", err=err)
    for note in report.notes if notes else ():
        click.echo(f"  note    {note}", err=err)


def _print_counts(pixels: np.ndarray, names: list[str]) -> None:
    """Print the pixels of each label, (256,), and its name if there is one."""
    values = pixels.nonzero()[0]
    shown = [*values[:SHOWN_VALUES], *(v for v in values[SHOWN_VALUES:] if v == 255)]
    for value in shown:
        name = names[value] if value < len(names) else "ignored" if value == 255 else ""
        share = f"{pixels[value] / pixels.sum():7.3%}"
        click.echo(f"  label {value:3}  {pixels[value]:12,} pixels  {share}  {name}".rstrip())
    if len(values) > len(shown):
        click.echo(f"  ... and {len(values) - len(shown)} more labels")
