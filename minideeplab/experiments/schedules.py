"""Table 2: the step against the poly schedule, batch size and iterations, with the authors' SGD."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.experiments.outcome import Outcome, plot
from minideeplab.experiments.setup import Setup
from minideeplab.models.deeplab import VARIANTS
from minideeplab.training import Config, Trainer
from minideeplab.training.records import read_log, smooth

#: (schedule, batch, thousands of iterations): mean IoU on VOC 2012 val before the CRF.
PAPER = {
    ("step", 30, 6): 62.25,
    ("poly", 30, 6): 63.42,
    ("poly", 30, 10): 64.90,
    ("poly", 10, 10): 64.71,
    ("poly", 10, 20): 65.88,
}
LONGEST, SMALLEST = 20, 10  # of PAPER's iterations and batches: those of the flags
SCORE = "mean IoU, %"


def plans(base: Config) -> list[dict[str, Any]]:
    """Return the settings of each run in the paper's proportions; ``base`` is the longest."""
    settings = []
    for schedule, batch, thousands in PAPER:
        iterations = max(3, round(base.iterations * thousands / LONGEST))
        settings.append(
            {
                "schedule": schedule,
                "batch_size": max(1, round(base.batch_size * batch / SMALLEST)),
                "iterations": iterations,
                "step_every": max(1, iterations // 3),
                "optimizer": "sgd",
                "lr": 0.01,
                "weight_decay": 5e-4,
                "average": 0.0,
            }
        )
    return settings


def run(setup: Setup) -> Outcome:
    """Return the mean IoU of LargeFOV with each schedule; the flags set the longest run."""
    rows, curves = [], {}
    for settings, (key, published) in zip(plans(setup.config()), PAPER.items(), strict=True):
        schedule, batch, count = (settings[k] for k in ("schedule", "batch_size", "iterations"))
        name = f"{schedule}-batch{batch}-{count}"
        net, trainer = setup.trained(name, VARIANTS["largefov"], **settings)
        rows.append(
            {
                "schedule": schedule,
                "batch": batch,
                "iterations": count,
                "images seen": batch * count,
                SCORE: setup.mean_iou(net),
                "paper's batch": key[1],
                "paper's iterations": 1000 * key[2],
                "paper, VOC, %": published,
            }
        )
        curves[f"{name}: {rows[-1][SCORE]:.1f} %"] = _curve(trainer)
    notes = [
        *setup.notes("Caffe's SGD of rate 0.01, momentum 0.9, weight decay 0.0005"),
        "No averaged weights; the step schedule divides the rate by 10 after each third, as the "
        "authors' did.",
    ]
    figure, axes = plot("images seen", "loss, smoothed")
    for label, (seen, losses) in curves.items():
        axes.plot(seen, losses, label=label)
    axes.legend(fontsize=8)
    title = "Step against poly, batch size and iterations, LargeFOV before the CRF (table 2)"
    return Outcome(title, rows, figure, notes)


def _curve(trainer: Trainer) -> tuple[np.ndarray, np.ndarray]:
    losses = np.array([float(row["loss"]) for row in read_log(trainer.out / "log.csv")])
    seen = trainer.config.batch_size * (1 + np.arange(len(losses)))
    return seen, smooth(losses, 0.95)
