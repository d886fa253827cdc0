"""Results of a parameter search: a CSV file and a heat map."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np

from minideeplab.crf.refinement import CRFParameters
from minideeplab.io import atomic_write

NAMES = tuple(field.name for field in fields(CRFParameters))
COLUMNS = (*NAMES, "mode", "mean_iou")


class Results:
    """Mean IoU by setting, kept in a CSV file if a path is given.

    Args:
        path: the file, read if it exists.
        mode: what else the numbers depend on; rows of another mode are kept but not used.

    Raises ValueError if the file is not one of a CRF search.
    """

    def __init__(self, path: str | os.PathLike[str] | None, mode: str):
        self.path = None if path is None else Path(path)
        self.mode = mode
        self._rows = _read(self.path) if self.path is not None and self.path.exists() else []
        self._known = {setting: value for setting, of, value in self._rows if of == mode}

    def __contains__(self, setting: CRFParameters) -> bool:
        return setting in self._known

    def __getitem__(self, setting: CRFParameters) -> float:
        return self._known[setting]

    def add(self, setting: CRFParameters, mean_iou: float) -> None:
        """Keep a result, and write the file anew: whole at any moment, however it ends."""
        self._known[setting] = mean_iou
        self._rows.append((setting, self.mode, mean_iou))
        if self.path is not None:
            _write(self.path, self._rows)


Row = tuple[CRFParameters, str, float]


def _read(path: Path) -> list[Row]:
    with open(path, newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    if not lines or tuple(lines[0]) != COLUMNS or any(len(x) != len(COLUMNS) for x in lines):
        raise ValueError(f"{path}: expected a CSV file of a CRF search with columns {COLUMNS}")
    return [(CRFParameters(*map(float, x[:-2])), x[-2], float(x[-1])) for x in lines[1:]]


def _write(path: Path, rows: list[Row]) -> None:
    with atomic_write(path) as whole, open(whole, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([*map(float, astuple(s)), mode, value] for s, mode, value in rows)


def save_heat_map(tried: Mapping[CRFParameters, float], path: str | os.PathLike[str]) -> None:
    """Draw the best mean IoU over w1 for each pair of widths, and mark the best of all.

    ``tried`` is that of :class:`SearchResult`; the suffix of ``path`` chooses the format.
    """
    from matplotlib.figure import Figure

    alphas = sorted({setting.sigma_alpha for setting in tried})
    betas = sorted({setting.sigma_beta for setting in tried})
    values = np.full((len(betas), len(alphas)), np.nan)
    for setting, mean_iou in tried.items():
        cell = betas.index(setting.sigma_beta), alphas.index(setting.sigma_alpha)
        values[cell] = np.nanmax([values[cell], mean_iou])

    best = max(tried, key=tried.__getitem__)
    figure = Figure(figsize=(1.5 + 0.6 * len(alphas), 1.5 + 0.5 * len(betas)), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(100 * values, origin="lower", aspect="auto", cmap="viridis")
    axes.plot(alphas.index(best.sigma_alpha), betas.index(best.sigma_beta), "r*", markersize=14)
    axes.set_xticks(range(len(alphas)), [f"{value:g}" for value in alphas])
    axes.set_yticks(range(len(betas)), [f"{value:g}" for value in betas])
    axes.set_xlabel("sigma_alpha [pixels]")
    axes.set_ylabel("sigma_beta [grey values]")
    axes.set_title(f"best: w1 = {best.w1:g}, mean IoU {100 * tried[best]:.2f} %")
    figure.colorbar(picture, label="mean IoU [%], best w1")
    with atomic_write(path) as whole:
        figure.savefig(whole, format=Path(path).suffix.lstrip(".") or "png", dpi=120)
