"""A training run of a second or two; ``python tiny.py FOLDER`` starts it or goes on with it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from minideeplab import use_backend
from minideeplab.data import SyntheticScenes
from minideeplab.models import IMAGENET
from minideeplab.nn import BatchNorm2d, Conv2d, Dropout, ReLU, Sequential
from minideeplab.training import Config, Trainer

CONFIG = Config(
    iterations=20,
    batch_size=2,
    iter_size=2,
    crop=(25, 33),
    warm_up=2,
    checkpoint_every=3,
    average=0.9,
    lr=1e-3,
    seed=7,
)


class TinyNet(Sequential):
    """Batch norm and dropout, so that every kind of state is there."""

    name = "tiny"
    num_classes = 6
    preprocessing = IMAGENET


def tiny_net(seed: int = 0) -> TinyNet:
    """Build the net: (N, 3, H, W) -> (N, 6, H/4, W/4)."""
    rng = np.random.default_rng(seed)
    return TinyNet(
        first=Conv2d(3, 8, 3, stride=2, padding=1, bias=False, rng=rng),
        bn=BatchNorm2d(8),
        relu=ReLU(),
        second=Conv2d(8, 8, 3, stride=2, padding=1, rng=rng),
        rectified=ReLU(),
        drop=Dropout(0.3),
        score=Conv2d(8, 6, 3, padding=2, dilation=2, rng=rng),
    )


def scenes() -> SyntheticScenes:
    """Return five scenes, fewer than two batches."""
    return SyntheticScenes(5, size=(33, 33), seed=1)


if __name__ == "__main__":
    trainer = Trainer(tiny_net(), scenes(), CONFIG, sys.argv[1])
    if Path(sys.argv[1], "checkpoint.npz").exists():
        trainer.resume()
    with use_backend("numpy"):
        trainer.run()
