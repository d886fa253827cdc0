"""Data sets by a short name: what ``--data`` understands."""

from __future__ import annotations

from typing import Any

from minideeplab.data.camvid import CamVid
from minideeplab.data.own import OwnFolder
from minideeplab.data.synthetic import SyntheticScenes
from minideeplab.data.voc import PascalVOC

SCENES = {"train": (2000, 0), "val": (100, 1), "test": (100, 2)}  # split: (count, seed)
FOLDERS = {"camvid": CamVid, "voc": PascalVOC, "own": OwnFolder}
KINDS = "camvid:FOLDER, voc:FOLDER, own:FOLDER or shapes"


def open_dataset(spec: str, split: str) -> Any:
    """Open ``camvid:FOLDER``, ``voc:FOLDER``, ``own:FOLDER`` or ``shapes``, synthetic scenes.

    ``shapes:COUNT`` makes so many scenes. Raises ValueError for another kind of name or split,
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
    raise ValueError(f"data: {spec!r}, expected {KINDS}")
