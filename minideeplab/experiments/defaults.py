"""Default training settings of the experiments, for synthetic scenes and for photographs."""

from __future__ import annotations

from typing import Any, NamedTuple

from minideeplab.models.deeplab import Variant

MOST_SCENES = 1000  # to train on


class Defaults(NamedTuple):
    """Settings without flags: ``pretrain`` and ``stride`` of ``Setup``, others of ``Config``."""

    pretrain: int
    stride: int
    training: dict[str, Any]


#: Scenes are a third as large as the paper's images. Features of stride 4 make maps of 31x41 of
#: them, about the paper's 41x41, so its rates cover the same part of an image.
SCENES = Defaults(1500, 4, dict(
    iterations=300, batch_size=4, crop=(113, 145), scales=(0.8, 1.1), class_weights="log"
))  # fmt: skip
PHOTOS = Defaults(3000, 8, dict(
    iterations=1500, batch_size=8, crop=(193, 257), scales=(0.75, 1.25), class_weights="log"
))  # fmt: skip
#: The head with which the trunk is trained before the compared heads: it sees one position of the
#: features at a time, so that no field of view is favoured.
PLAIN = Variant(rates=(1,), kernel=1)
