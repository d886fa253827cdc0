"""CamVid, the Cambridge-driving Labeled Video Database, in SegNet's folder layout.

``root/train/NAME.png`` (or ``.jpg``) with ``root/trainannot/NAME.png``, and so for ``val`` and
``test``: 367, 101 and 233 road scenes of 480x360, 11 classes, label 11 for void.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from minideeplab.data.folders import FolderDataset, pair_folders
from minideeplab.visualize.palettes import CAMVID_CLASSES, CAMVID_PALETTE

SPLITS = ("train", "val", "test")
VOID = 11


class CamVid(FolderDataset):
    """Road scenes with 11 classes; the void label 11 is read as 255.

    Args:
        root: the folder that holds ``train``, ``trainannot`` and so on.
        split: ``"train"``, ``"val"`` or ``"test"``.

    Raises:
        ValueError: an unknown split, or images and labels that do not pair up.
        FileNotFoundError: a folder is missing.
    """

    def __init__(self, root: str | os.PathLike[str], split: str = "train"):
        if split not in SPLITS:
            raise ValueError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
        self.classes = list(CAMVID_CLASSES)
        self.palette = CAMVID_PALETTE
        super().__init__(*pair_folders(root, split))

    def read_labels(self, path: Path) -> np.ndarray:
        """Return labels 0..10, void as 255."""
        labels = super().read_labels(path)
        labels[labels == VOID] = self.ignore_index
        return labels
