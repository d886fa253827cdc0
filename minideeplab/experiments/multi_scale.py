"""Table 4: several sizes of the input with maximum fusion, and scale augmentation.

The paper adds these to ResNet-101, this module to LargeFOV on the experiments' trunk. With
``--weights`` nothing is trained; the given weights are scored at several sets of sizes.
"""

from __future__ import annotations

from minideeplab.experiments.outcome import Outcome, bars
from minideeplab.experiments.setup import Setup
from minideeplab.models.deeplab import VARIANTS
from minideeplab.training.multiscale import SCALES

AUGMENTED = (0.5, 1.5)  # section 4.1.2
ONE, THREE = "one size, %", "three sizes, max, %"
TESTED = ((1.0,), SCALES[::-1], (0.75, 1.0, 1.25))  # sizes for weights that are given
MAX, MEAN, MIRRORED = "fused by max, %", "by mean, %", "by mean, mirrored too, %"
TITLE = "Multi-scale input with maximum fusion, and scale augmentation (table 4)"
PUBLISHED = (
    "The paper, ResNet-101 on VOC 2012 val: 68.72 without, 71.27 with three sizes fused by maximum "
    "(MSC); scale augmentation adds 1.59 to MSC with COCO, 73.28 to 74.87."
)


def run(setup: Setup) -> Outcome:
    """Return the mean IoU at one and three sizes, after training with and without both."""
    return _trained(setup) if setup.weights is None else _tested(setup)


def _trained(setup: Setup) -> Outcome:
    rows = []
    for multi_scale in (False, True):
        for augmented in (False, True):
            name = ("msc" if multi_scale else "plain") + ("-augmented" if augmented else "")
            net, _ = setup.trained(
                name,
                VARIANTS["largefov"],
                multi_scale=multi_scale,
                scales=AUGMENTED if augmented else (1.0, 1.0),
            )
            rows.append(
                {
                    "run": name,
                    "trained on sizes": " ".join(map(str, SCALES)) if multi_scale else "1",
                    "scale augmentation": "{}-{}".format(*AUGMENTED) if augmented else "none",
                    ONE: setup.mean_iou(net),
                    THREE: setup.mean_iou(net, scales=SCALES, fusion="max"),
                    "three sizes, mean, %": setup.mean_iou(net, scales=SCALES),
                }
            )
    notes = [*setup.notes(), "Head: LargeFOV.", PUBLISHED]
    return Outcome(TITLE, rows, bars(rows, "run", (ONE, THREE)), notes)


def _tested(setup: Setup) -> Outcome:
    """Return the mean IoU of the given weights, one row for each set of sizes."""
    net, rows = setup.network(), []
    for sizes in TESTED:
        rows.append(
            {
                "sizes": " ".join(f"{size:g}" for size in sizes),
                MAX: setup.mean_iou(net, scales=sizes, fusion="max"),
                MEAN: setup.mean_iou(net, scales=sizes),
                MIRRORED: setup.mean_iou(net, scales=sizes, flip=True),
            }
        )
    notes = [
        f"{setup.data_note()}; network: weights {setup.weights_name!r}, without the CRF.",
        PUBLISHED,
    ]
    return Outcome(TITLE, rows, bars(rows, "sizes", (MAX, MEAN, MIRRORED)), notes)
