"""Data sets: ``len(ds)``, ``ds[i] -> (image, labels)``, ``classes``, ``palette``, ``names``.

``image`` is (H, W, 3) uint8 RGB, ``labels`` (H, W) uint8 with 255 for "ignored".
"""

from __future__ import annotations

from typing import Any

from minideeplab.data.augment import augment
from minideeplab.data.camvid import CamVid
from minideeplab.data.own import OwnFolder
from minideeplab.data.synthetic import SyntheticScenes
from minideeplab.data.voc import PascalVOC

__all__ = ["CamVid", "OwnFolder", "PascalVOC", "SyntheticScenes", "augment", "open_dataset"]

SCENES = {"train": (2000, 0), "val": (100, 1), "test": (100, 2)}  # split: (count, seed)
FOLDERS = {"camvid": CamVid, "voc": PascalVOC, "own": OwnFolder}


def open_dataset(spec: str, split: str) -> Any:
    """Return the data set that ``--data`` names: camvid:, voc: or own:FOLDER, shapes[:COUNT].

    ``shapes`` are synthetic scenes. Raises ValueError for another kind of name or split,
    FileNotFoundError for a missing folder.
    """
    kind, _, where = spec.partition(":")
    if kind in FOLDERS and where:
        return FOLDERS[kind](where, split)
    if kind == "shapes" and (where.isdigit() or not where):
        if split not in SCENES:
            raise ValueError(f"split: expected one of {', '.join(SCENES)}, got {split!r}")
        count, seed = SCENES[split]
        return SyntheticScenes(int(where) if where else count, seed=seed)
    expected = "camvid:FOLDER, voc:FOLDER, own:FOLDER or shapes"
    raise ValueError(f"data: {spec!r}, expected {expected}")
