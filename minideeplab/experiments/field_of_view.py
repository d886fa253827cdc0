"""Table 1: kernel size and rate of fc6, which set the field of view and the parameters."""

from __future__ import annotations

from functools import partial

from minideeplab.bench.timing import interleaved
from minideeplab.experiments.net import FIELD_NOTE, field_of_view, full_parameters
from minideeplab.experiments.outcome import Outcome, plot
from minideeplab.experiments.setup import Setup
from minideeplab.models.deeplab import Variant
from minideeplab.training import Trainer
from minideeplab.training.gradients import Batch

#: (kernel, rate, filters): mean IoU on VOC 2012 val before and after the CRF, training images/s.
PAPER = {
    (7, 4, 4096): (64.38, 67.64, 1.44),
    (4, 4, 4096): (59.80, 63.74, 2.90),
    (4, 8, 4096): (63.41, 67.14, 2.90),
    (3, 12, 1024): (62.25, 67.64, 4.84),
}
BEFORE, AFTER, SPEED = "mean IoU, %", "with CRF, %", "trained images/s"
ROUNDS = 5


def run(setup: Setup) -> Outcome:
    """Return parameters, speed and mean IoU of each kernel and rate, trained alike."""
    rows, steps = [], {}
    for (kernel, rate, channels), (before, after, speed) in PAPER.items():
        shape = Variant(rates=(rate,), pool5a=True, kernel=kernel, channels=channels)
        net, trainer = setup.trained(f"kernel{kernel}-rate{rate}", shape)
        steps[f"{kernel}x{kernel}, rate {rate}"] = partial(_step, trainer, trainer.batches(0))
        rows.append(
            {
                "kernel": f"{kernel}x{kernel}",
                "rate": rate,
                "field of view": field_of_view(shape),
                "parameters here": sum(p.size for p in net.parameters()),
                "VGG-16, full width": full_parameters(shape),
                SPEED: None,
                BEFORE: setup.mean_iou(net),
                AFTER: setup.mean_iou(net, crf=setup.crf()),
                "paper's images/s": speed,
                "paper, VOC, %": before,
                "paper with CRF, %": after,
            }
        )
    images = setup.config().batch_size
    for row, timing in zip(rows, interleaved(steps, ROUNDS).values(), strict=True):
        row[SPEED] = images / timing.median
    notes = [
        *setup.notes(),
        setup.crf_note(),
        FIELD_NOTE,
        "The paper's parameters are 134.3, 65.1, 65.1 and 20.5 million. Speeds here: one batch "
        f"forward and backward, the four networks in turn, median of {ROUNDS} rounds.",
    ]
    title = "Kernel size and rate of fc6 (table 1)"
    return Outcome(title, rows, _figure(rows), notes)


def _step(trainer: Trainer, batch: Batch) -> None:
    """Forward and backward without an update."""
    trainer.net.train()
    trainer.gradients([batch])


def _figure(rows: list[dict]):
    figure, axes = plot("parameters of the full-width network, millions", size=(9.0, 3.8))
    for row in rows:
        millions = row["VGG-16, full width"] / 1e6
        label = f"{row['kernel']}, rate {row['rate']}: {row['field of view']} pixels"
        points = axes.plot([millions] * 2, [row[BEFORE], row[AFTER]], "o-", label=label)
        axes.plot(millions, row[AFTER], "*", color=points[0].get_color(), markersize=13)
    axes.set_xscale("log")
    axes.set_xticks([20, 50, 100, 150], ["20", "50", "100", "150"], minor=False)
    axes.set_xticks([], minor=True)
    title = "from before (dot)\nto after the CRF (star);\nfield of view"
    figure.legend(loc="outside right upper", fontsize=8, title=title, title_fontsize=8)
    return figure
