"""``minideeplab evaluate``: score a network on a data set with known labels."""

from __future__ import annotations

import click


@click.command()
@click.option("--data", required=True, help="camvid:FOLDER, voc:FOLDER, own:FOLDER, or shapes.")
@click.option("--split", default="val", show_default=True, help="Split to score.")
@click.option(
    "--weights",
    default="camvid",
    show_default=True,
    help="Weights: a .npz of ours, or a bundled set: camvid, shapes.",
)
@click.option("--scales", default="1", show_default=True, help="Scales to average, as 0.75,1,1.25.")
@click.option("--flip", is_flag=True, help="Average with the mirrored picture.")
@click.option("--crf", is_flag=True, help="Refine with the dense CRF.")
@click.option(
    "--trimap", default="1,5,10,20", show_default=True, help="Widths of the trimap bands."
)
@click.option("--limit", type=click.IntRange(1), help="Score the first pictures only.")
def command(
    data: str,
    split: str,
    weights: str,
    scales: str,
    flip: bool,
    crf: bool,
    trimap: str,
    limit: int | None,
) -> None:
    """Print IoU per class, mean IoU, pixel and class accuracy, and accuracy near boundaries.

    One confusion matrix is summed over all pictures at their own size; void does not count.

    \b
    Examples:
      minideeplab evaluate --data camvid:../camvid
      minideeplab evaluate --data shapes --weights shapes --crf
    """
    import numpy as np
    from tqdm import tqdm

    from minideeplab import evaluation, pretrained
    from minideeplab.data.specs import open_dataset
    from minideeplab.models import from_checkpoint
    from minideeplab.training.validation import predictions

    dataset = open_dataset(data, split)
    net = from_checkpoint(pretrained.find(weights))
    if net.num_classes != len(dataset.classes):
        raise ValueError(
            f"weights: are for {net.num_classes} classes, {data} has {len(dataset.classes)}"
        )
    widths = [int(width) for width in _numbers("trimap", trimap)]
    options = {"scales": _numbers("scales", scales), "flip": flip, "crf": crf}
    around = "boundaries" if data.startswith("camvid:") else "ignored"
    count = min(limit or len(dataset), len(dataset))
    confusion = np.zeros((net.num_classes, net.num_classes), np.int64)
    right, total = np.zeros(len(widths)), np.zeros(len(widths))
    for _, labels, truth in tqdm(predictions(net, dataset, count, **options), total=count):
        confusion += evaluation.confusion_matrix(labels, truth, net.num_classes)
        for k, width in enumerate(widths):
            band = evaluation.trimap(truth, width, around)
            right[k] += (labels[band] == truth[band]).sum()
            total[k] += band.sum()
    click.echo(evaluation.format_table(evaluation.scores(confusion), dataset.classes))
    for width, part, whole in zip(widths, right, total, strict=True):
        share = f"{100 * part / whole:6.2f}" if whole else "     -"
        click.echo(f"trimap of {width:2d} pixels: {share}")


def _numbers(name: str, text: str) -> list[float]:
    """Read "0.75,1,1.25" as positive numbers."""
    try:
        values = [float(part) for part in text.split(",") if part]
    except ValueError:
        values = [0.0]
    if min(values, default=1) <= 0:
        raise ValueError(f"{name}: {text!r}, expected positive numbers with commas between")
    return values
