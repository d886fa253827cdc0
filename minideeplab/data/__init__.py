"""Data sets: ``len(ds)``, ``ds[i] -> (image, labels)``, ``classes``, ``palette``, ``names``.

``image`` is (H, W, 3) uint8 RGB, ``labels`` (H, W) uint8 with 255 for "ignored".
"""

from __future__ import annotations

from minideeplab.data.augment import augment
from minideeplab.data.camvid import CamVid
from minideeplab.data.own import OwnFolder
from minideeplab.data.synthetic import SyntheticScenes
from minideeplab.data.voc import PascalVOC

__all__ = ["CamVid", "OwnFolder", "PascalVOC", "SyntheticScenes", "augment"]
