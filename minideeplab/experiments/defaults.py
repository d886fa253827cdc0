"""What each kind of data needs to train the experiments' networks when no flag says otherwise."""

from __future__ import annotations

import dataclasses
from typing import Any

from minideeplab.models.deeplab import Variant

MOST_SCENES = 1000  # to train on


@dataclasses.dataclass(frozen=True)
class Defaults:
    """What a kind of data needs when no flag says otherwise.

    ``pretrain`` and ``stride`` are those of ``Setup``, ``training`` goes to ``Config``.
    """

    pretrain: int
    stride: int
    training: dict[str, Any]


#: Scenes are a third as large as the paper's images. Features of stride 4 make maps of 31x41 of
#: them, about the paper's 41x41, and so its rates reach as far across an image as they did there.
SCENES = Defaults(
    pretrain=1500,
    stride=4,
    training={
        "iterations": 300,
        "batch_size": 4,
        "crop": (113, 145),
        "scales": (0.8, 1.1),
        "class_weights": "log",
    },
)
PHOTOS = Defaults(
    pretrain=3000,
    stride=8,
    training={
        "iterations": 1500,
        "batch_size": 8,
        "crop": (193, 257),
        "scales": (0.75, 1.25),
        "class_weights": "log",
    },
)
#: The head under which a trunk learns before any of the compared heads is put on it: it looks at
#: one point of the features at a time, so that no field of view is favoured.
PLAIN = Variant(rates=(1,), kernel=1)
