"""The result of a check of images and masks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np


@dataclasses.dataclass
class Report:
    """Result of a check: ``problems``, each with its files, and ``notes``.

    ``pixels`` counts labels, ``colours`` ("R G B") the pixels of masks in colour. ``title`` names
    what was checked.
    """

    title: str = ""
    pairs: int = 0
    pixels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(256, np.int64))
    problems: dict[str, list[Path]] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    colours: dict[str, int] = dataclasses.field(default_factory=dict)
    turned: list[Path] = dataclasses.field(default_factory=list)
    palettes: dict[int, bytes] = dataclasses.field(default_factory=dict)

    def problem(self, text: str, path: Path) -> None:
        """Add a file to those that have a problem."""
        self.problems.setdefault(text, []).append(path)

    def failure(self, text: str, path: Path, error: Exception) -> None:
        """Add a file that could not be read; the first of a kind is noted with the reason."""
        if text not in self.problems:
            self.notes.append(f"{path.name}: {str(error).removeprefix(f'{path}: ')}")
        self.problem(text, path)
