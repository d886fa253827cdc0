"""The weights that come with the package: ``camvid`` (road scenes), ``shapes`` (synthetic)."""

from __future__ import annotations

import os
from pathlib import Path

NAMES = ("camvid", "shapes")


def find(name: str | os.PathLike[str]) -> Path:
    """Return the file of bundled weights by name, or ``name`` itself if it is a file.

    Raises:
        FileNotFoundError: neither.
    """
    path = Path(name)
    if not path.is_file() and str(name) in NAMES:
        path = Path(__file__).with_name(f"{name}.npz")
    if not path.is_file():
        raise FileNotFoundError(
            f"{name}: no such weight file, and not one of the bundled weights {', '.join(NAMES)}"
        )
    return path
