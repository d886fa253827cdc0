"""A heat map of a parameter search of the CRF."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.files import atomic_write


def save_heat_map(tried: Mapping[Any, float], path: str | os.PathLike[str]) -> None:
    """Draw the best mean IoU over w1 for each pair of widths, and mark the best of all.

    ``tried`` maps `CRFParameters` to mean IoU, as in the result of `minideeplab.crf.search`; the
    suffix of ``path`` chooses the format.
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
    image = axes.imshow(100 * values, origin="lower", aspect="auto", cmap="viridis")
    axes.plot(alphas.index(best.sigma_alpha), betas.index(best.sigma_beta), "r*", markersize=14)
    axes.set_xticks(range(len(alphas)), [f"{value:g}" for value in alphas])
    axes.set_yticks(range(len(betas)), [f"{value:g}" for value in betas])
    axes.set_xlabel("sigma_alpha [pixels]")
    axes.set_ylabel("sigma_beta [grey values]")
    axes.set_title(f"best: w1 = {best.w1:g}, mean IoU {100 * tried[best]:.2f} %")
    figure.colorbar(image, label="mean IoU [%], best w1")
    with atomic_write(path) as whole:
        figure.savefig(whole, format=Path(path).suffix.lstrip(".") or "png", dpi=120)
