"""Section 4.1: the search for the CRF's parameters on a part of val, coarse to fine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minideeplab.crf.refinement import PARAMETERS, CRFParameters
from minideeplab.crf.search import Grid, SearchResult, search
from minideeplab.data.views import Subset
from minideeplab.experiments.outcome import Outcome, Row, plot
from minideeplab.experiments.setup import Setup
from minideeplab.inference import predict

PART, ROUNDS, SHOWN = 20, 3, 8  # images to search on; grids; settings in the table
SCENES = Grid(w1=(2, 4, 6), sigma_alpha=(20, 50, 80), sigma_beta=(5, 17.5, 30))
FOUND, REST = "searched part, %", "rest of val, %"


def run(setup: Setup) -> Outcome:
    """Return the best settings on every k-th image of val, and their score on the others."""
    net, dataset = setup.network(), setup.validation_data
    part = list(range(0, len(dataset), max(1, len(dataset) // PART)))[:PART]
    rest = Subset(dataset, [i for i in range(len(dataset)) if i not in set(part)])
    searched = Subset(dataset, part)
    samples = [
        (image, predict(image, net), truth) for image, truth in map(dataset.__getitem__, part)
    ]
    result = search(
        samples,
        SCENES if setup.on_scenes else Grid(),
        ROUNDS,
        csv_path=Path(setup.out, "crf-search-all.csv"),
        executor=setup.executor,
    )
    best = sorted(result.tried, key=result.tried.__getitem__, reverse=True)
    rows = [_row("found", setting, 100 * result.tried[setting]) for setting in best[:SHOWN]]
    without = setup.mean_iou(net, searched)
    authors = setup.mean_iou(net, searched, crf={"parameters": "v1-largefov"})
    rows.append({"setting": "no CRF", FOUND: without})
    rows.append(_row("v1-largefov", PARAMETERS["v1-largefov"], authors))
    if len(rest):
        rows[0][REST] = setup.mean_iou(net, rest, crf={"parameters": result.best})
        rows[-2][REST] = setup.mean_iou(net, rest)
        rows[-1][REST] = setup.mean_iou(net, rest, crf={"parameters": "v1-largefov"})
    notes = [
        f"{setup.data_note()}: searched on {len(samples)}, the best checked on the other "
        f"{len(rest)}. {ROUNDS} grids, {len(result.tried)} settings; w2 = sigma_gamma = 3, "
        "10 iterations.",
        f"Network: weights {setup.weights_name!r}, one size.",
    ]
    title = "Search for the CRF's parameters, coarse to fine (section 4.1)"
    return Outcome(title, rows, _figure(result, without), notes)


def _row(name: str, setting: CRFParameters, found: float) -> Row:
    return {
        "setting": name,
        "w1": float(setting.w1),
        "sigma alpha": float(setting.sigma_alpha),
        "sigma beta": float(setting.sigma_beta),
        FOUND: found,
    }


def _figure(result: SearchResult, without: float) -> Any:
    """Return a plot of all settings over sigma beta, with sigma alpha as colour, w1 as size."""
    figure, axes = plot("sigma beta, grey values", size=(7.0, 4.2))
    tried = result.tried
    points = axes.scatter(
        [setting.sigma_beta for setting in tried],
        [100 * value for value in tried.values()],
        c=[setting.sigma_alpha for setting in tried],
        s=[15 * setting.w1 for setting in tried],
        cmap="viridis",
        alpha=0.8,
    )
    axes.axhline(without, color="0.5", linestyle=":", label="no CRF")
    axes.plot(result.best.sigma_beta, 100 * result.mean_iou, "r*", markersize=14, label="best")
    axes.legend(loc="lower right", fontsize=8)
    figure.colorbar(points, label="sigma alpha, pixels (size: w1)")
    return figure
