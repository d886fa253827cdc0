"""``minideeplab evaluate``: score a network on a data set with known labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minideeplab.cli._executor import executor_options
from minideeplab.cli._outputs import dataset_files, refuse_to_overwrite

if TYPE_CHECKING:
    import numpy as np

    from minideeplab.evaluation import Tally
    from minideeplab.nn import Module

REPORT = ("scores.csv", "images.csv", "confusion.csv", "worst.png", "legend.png")


@click.command()
@click.option("--data", required=True, help="camvid:FOLDER, voc:FOLDER, own:FOLDER, or shapes.")
@click.option("--split", default="val", help="Split to score.")
@click.option("--weights", default="camvid",
              help="Weights: a .npz of ours, or a bundled set: camvid, shapes.")  # fmt: skip
@click.option(
    "--scales",
    help="Scales of the image, as 0.75,1,1.25.  [default: as the weights, else 1]",
)
@click.option(
    "--fusion",
    default="mean",
    type=click.Choice(("mean", "max")),
    help="Of scales: mean of probabilities, or the authors' maximum of scores.",
)
@click.option("--flip/--no-flip", default=None,
              help="Average with the mirrored image.  [default: as the weights]")  # fmt: skip
@click.option("--crf", is_flag=True, help="Refine with the dense CRF.")
@click.option("--trimap", default="1,5,10,20", help="Widths of the trimap bands.")
@click.option("--limit", type=click.IntRange(1), help="Score the first images only.")
@click.option("--out", type=click.Path(path_type=Path),
              help="Folder for label images, tables, the worst images and a legend.")  # fmt: skip
@click.option("--worst", default=8, type=click.IntRange(1), help="Images to show.")
@executor_options
def command(
    data: str, split: str, weights: str, scales: str | None, fusion: str, flip: bool | None,
    crf: bool, trimap: str, limit: int | None, out: Path | None, worst: int, jobs: int,
    dask: str | None,
) -> None:  # fmt: skip
    """Print IoU, precision, recall and Dice per class, mean IoU, accuracies and boundary scores.

    One confusion matrix is summed over all images at their own size; void is not counted.
    --out writes every result as a palette PNG (for voc: in the folders in which the PASCAL
    VOC devkit and server expect them), scores.csv (what is printed), images.csv (worst first),
    confusion.csv, worst.png and legend.png.

    \b
    Examples:
      minideeplab evaluate --data camvid:../camvid
      minideeplab evaluate --data shapes --weights shapes --crf --out report
      minideeplab evaluate --data voc:VOCdevkit --weights runs/voc/weights.npz --jobs 4 \\
          --scales 0.5,0.75,1 --fusion max
    """
    from tqdm import tqdm

    from minideeplab import evaluation, executors, inference
    from minideeplab.data import open_dataset
    from minideeplab.io import require_writable
    from minideeplab.training.validation import predictions

    dataset = open_dataset(data, split)
    if out is not None:
        labels_folder = out / _labels_folder(data, split)
        outputs = [labels_folder / f"{name}.png" for name in dataset.names]
        refuse_to_overwrite([*dataset_files(dataset), weights], outputs + [out / n for n in REPORT])
    net = _network(weights, data, len(dataset.classes))
    if "intensity_range" in net.meta:  # of the training images, of more than 8 bits
        dataset.intensity_range = tuple(net.meta["intensity_range"])
    widths = [int(width) for width in _numbers("trimap", trimap, least=1)]
    sizes = None if scales is None else _numbers("scales", scales)
    options = {**inference.views(net, sizes, flip), "fusion": fusion, "crf": crf}
    around = "boundaries" if data.startswith("camvid:") else "ignored"
    tally = evaluation.Tally(net.num_classes, widths, around, boundaries=True)
    if out is not None:
        require_writable(labels_folder)
    count = min(limit or len(dataset), len(dataset))
    with executors.open_executor(jobs, dask) as executor:
        results = predictions(net, dataset, count, executor, **options)
        for name, labels, truth in tqdm(results, total=count):
            tally.add(name, labels, truth)
            if out is not None:
                _write_labels(labels_folder / f"{name}.png", labels, dataset.palette)
    _print_scores(tally, dataset.classes)
    if out is not None:
        _write_report(out, labels_folder, tally, dataset, worst)


def _network(weights: str, data: str, classes: int) -> Module:
    """Return the network of these weights; raises ValueError if its classes are others."""
    from minideeplab import models, pretrained

    net = models.from_checkpoint(pretrained.find(weights))
    if net.num_classes != classes:
        raise ValueError(f"weights: are for {net.num_classes} classes, {data} has {classes}")
    return net


def _labels_folder(data: str, split: str) -> str:
    """Return the folder of label images, for PASCAL VOC as its devkit names it."""
    if data.startswith("voc:"):
        return f"results/VOC2012/Segmentation/comp6_{split}_cls"
    return "labels"


def _write_labels(path: Path, labels: np.ndarray, palette: np.ndarray) -> None:
    from minideeplab.io import write_labels

    path.parent.mkdir(parents=True, exist_ok=True)  # a name may contain a folder
    write_labels(path, labels, palette)


def _print_scores(tally: Tally, classes: list[str]) -> None:
    from minideeplab import evaluation

    click.echo(evaluation.format_table(tally.scores, classes))
    for name, value in _boundary_scores(tally):
        click.echo(f"{name:<22}  {100 * value:6.2f}")


def _boundary_scores(tally: Tally) -> list[tuple[str, float]]:
    """Return the scores near boundaries, by name, in 0..1."""
    import numpy as np

    found, f1 = [], tally.boundary_f1
    if not np.isnan(f1).all():
        found.append(("boundary F1", float(np.nanmean(f1))))
    for width, band in zip(tally.trimaps, tally.bands, strict=True):
        if band.any():
            found.append((f"trimap of {width} pixels", band.trace() / band.sum()))
    return found


def _write_report(out: Path, labels_folder: Path, tally: Tally, dataset: Any, worst: int) -> None:
    """Write the tables and figures into ``out``, and print their paths."""
    from minideeplab import evaluation, io

    ranked = tally.worst_first()
    confusion = zip(dataset.classes, tally.confusion.tolist(), strict=True)
    tables = {
        "scores.csv": [("score", "value"), *_all_scores(tally, dataset.classes)],
        "images.csv": [
            ("name", "mean_iou", "pixel_accuracy"),
            *((one.name, _cell(one.mean_iou), _cell(one.pixel_accuracy)) for one in ranked),
        ],
        "confusion.csv": [
            ("truth \\ labelled", *dataset.classes),
            *((name, *row) for name, row in confusion),
        ],
    }
    failures = [
        (
            f"{one.name}: {100 * one.mean_iou:.1f} %",
            *dataset[one.index],
            io.read_labels(labels_folder / f"{one.name}.png"),
        )
        for one in ranked[:worst]
    ]
    figures = {
        "worst.png": evaluation.failure_gallery(failures, dataset.classes, dataset.palette),
        "legend.png": evaluation.legend(dataset.classes, dataset.palette),
    }
    for name, rows in tables.items():
        _write_csv(out / name, rows)
    for name, figure in figures.items():
        with io.atomic_write(out / name) as temporary:
            figure.savefig(temporary)
    click.echo(f"labels: {labels_folder}")
    click.echo(f"report: {', '.join(str(out / name) for name in (*tables, *figures))}")


def _all_scores(tally: Tally, classes: list[str]) -> list[tuple[str, str]]:
    """Return the scores that ``_print_scores`` prints as rows of a table, in 0..1."""
    result = tally.scores
    per_class = {
        "IoU": result.iou,
        "precision": result.precision,
        "recall": result.recall,
        "Dice": result.dice,
    }
    named = [
        *(
            (f"{measure} of {name}", value)
            for measure, values in per_class.items()
            for name, value in zip(classes, values, strict=True)
        ),
        ("mean IoU", result.mean_iou),
        ("pixel accuracy", result.pixel_accuracy),
        ("class accuracy", result.class_accuracy),
        ("frequency-weighted IoU", result.frequency_weighted_iou),
        *_boundary_scores(tally),
    ]
    return [(name, _cell(value)) for name, value in named]


def _cell(value: float) -> str:
    return "" if value != value else f"{value:.4f}"  # NaN: nothing to score


def _write_csv(path: Path, rows: list[tuple[Any, ...]]) -> None:
    import csv

    from minideeplab.io import atomic_write

    with atomic_write(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as f:
        csv.writer(f, lineterminator="\n").writerows(rows)


def _numbers(name: str, text: str, least: float = 0.0) -> list[float]:
    """Return "0.75,1,1.25" as positive numbers, none below ``least``."""
    try:
        values = [float(part) for part in text.split(",") if part]
    except ValueError:
        values = [0.0]
    if any(value <= 0 or value < least for value in values):
        wanted = f"numbers of {least:g} or more" if least else "positive numbers"
        raise ValueError(f"{name}: {text!r}, expected {wanted} with commas between")
    return values
