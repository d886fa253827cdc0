"""The weights that come with the package: ``camvid`` (road scenes), ``shapes`` (synthetic)."""

from __future__ import annotations

import os
from pathlib import Path

NAMES = ("camvid", "shapes")


def find(name: str | os.PathLike[str]) -> Path:
    """Return the file of bundled weights by name, or ``name`` itself if it is a file.

    Raises:
        FileNotFoundError: neither.
        ValueError: a folder; the message names the weights in it.
    """
    path = Path(name)
    if path.is_dir() and str(name) not in NAMES:
        found = [file.name for file in (path / "weights.npz", path / "best.npz") if file.is_file()]
        inside = f"pass {path / found[0]}" if found else "expected a weight file"
        raise ValueError(f"{name}: a folder; {inside}")
    if not path.is_file() and str(name) in NAMES:
        path = Path(__file__).with_name(f"{name}.npz")
    if not path.is_file():
        raise FileNotFoundError(
            f"{name}: no such weight file, and not one of the bundled weights {', '.join(NAMES)}"
        )
    return path
