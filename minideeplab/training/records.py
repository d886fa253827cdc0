"""The logs of a run, log.csv with a row an iteration and validation.csv, and a plot, curve.png."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minideeplab.evaluation import Scores
from minideeplab.io import atomic_write

COLUMNS = ("iteration", "loss", "lr", "seconds", "val_mean_iou")
CLASS_COLUMNS = ("iteration", "class", "iou", "precision", "recall", "dice")


class Log:
    """Rows appended to a CSV file with the columns ``columns``, by default one row an iteration.

    Rows from ``iteration`` on, which a killed run wrote after its last checkpoint, are dropped.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        iteration: int = 0,
        columns: tuple[str, ...] = COLUMNS,
    ) -> None:
        self.path = Path(path)
        rows = [row for row in read_log(path) if int(row["iteration"]) < iteration]
        with (
            atomic_write(self.path) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    def add(self, *values: float | str) -> None:
        """Append one row, in the order of the columns."""
        with open(self.path, "a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(values)


def read_log(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """Read the rows of a log; none if there is no file. An incomplete last row is left out."""
    if not os.path.exists(path):
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]


def add_class_scores(
    path: str | os.PathLike[str], iteration: int, classes: Sequence[str], result: Scores
) -> None:
    """Append a row for each class to validation.csv: IoU, precision, recall and Dice, in 0..1."""
    columns = (result.iou, result.precision, result.recall, result.dice)
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        for name, *values in zip(classes, *columns, strict=False):
            writer.writerow([iteration, name, *(f"{value:.4f}" for value in values)])


def draw_curve(log: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Plot a log's loss, raw and smoothed, and validation scores into the file ``path``."""
    from matplotlib.figure import Figure

    rows = read_log(log)
    iterations = np.array([int(row["iteration"]) for row in rows])
    losses = np.array([float(row["loss"]) for row in rows])
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="iteration", ylabel="loss")
    axes.plot(iterations, losses, color="0.8", linewidth=0.8, label="loss")
    axes.plot(iterations, smooth(losses), color="tab:blue", label="loss, smoothed")
    validations = [
        (int(r["iteration"]), float(r["val_mean_iou"])) for r in rows if r["val_mean_iou"]
    ]
    if validations:
        right = axes.twinx()
        right.set_ylabel("validation mean IoU, %", color="tab:orange")
        where, scores = np.array(validations).T
        right.plot(where, 100 * scores, "o-", color="tab:orange", markersize=4)
    axes.legend(loc="upper center")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=120)


def smooth(values: np.ndarray, decay: float = 0.98) -> np.ndarray:
    """Return the exponential moving average, corrected for its bias towards zero: (T,) -> (T,)."""
    smoothed, total, weight = np.empty(len(values)), 0.0, 0.0
    for i, value in enumerate(values):
        total = decay * total + (1 - decay) * value
        weight = decay * weight + (1 - decay)
        smoothed[i] = total / weight
    return smoothed
