"""Outputs that would replace an input, refused before any work."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click


def refuse_to_overwrite(
    inputs: Iterable[str | os.PathLike[str] | None], outputs: Iterable[Path], option: str = "--out"
) -> None:
    """Raise BadParameter if an output is an input, under any name, or if two outputs are one file.

    Args:
        inputs: files that the command reads; None and names of no file are skipped.
        outputs: files that it writes.
        option: the option that names the outputs, for the message.
    """
    read = {_identity(Path(path)) for path in inputs if path is not None and os.path.exists(path)}
    written: set[Any] = set()
    for path in outputs:
        identity = _identity(path)
        if identity in read:
            what = "is an input and would be overwritten; choose another folder or name"
            raise click.BadParameter(f"{path} {what}", param_hint=option)
        if identity in written:
            raise click.BadParameter(f"{path} would be written twice", param_hint=option)
        written.add(identity)


def dataset_files(dataset: Any) -> list[Path]:
    """Return the image and mask files of a data set; none of generated scenes."""
    return [*getattr(dataset, "image_paths", ()), *getattr(dataset, "label_paths", ())]


def _identity(path: Path) -> tuple[int, int] | str:
    """Return device and number of a file, the same through links, or the path of no file yet."""
    try:
        stat = path.stat()
    except OSError:
        return os.path.realpath(path)
    return stat.st_dev, stat.st_ino
