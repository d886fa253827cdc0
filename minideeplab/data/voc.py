"""PASCAL VOC 2012: 20 object classes and background, void borders of label 255."""

from __future__ import annotations

import os
from pathlib import Path

from minideeplab.data.folders import FolderDataset, require_folder
from minideeplab.visualize.palettes import VOC_CLASSES, voc_palette


class PascalVOC(FolderDataset):
    """The segmentation task of PASCAL VOC.

    Reads ``JPEGImages``, ``ImageSets/Segmentation/{split}.txt`` and ``SegmentationClass``; for the
    augmented set (10,582 images of split ``trainaug``, as the paper trains on) the labels are in
    ``SegmentationClassAug``. Label images may be palette, grey or colour PNGs.

    Args:
        root: ``VOCdevkit``, ``VOCdevkit/VOC2012`` or a folder of the same layout.
        split: the name of a list: ``train``, ``val``, ``trainval``, ``trainaug`` ...
        labels: the folder of the labels, by default chosen by the split's name.

    Raises:
        FileNotFoundError: a folder, list, image or label image is missing.
        ValueError: an empty list.
    """

    def __init__(
        self, root: str | os.PathLike[str], split: str = "train", labels: str | None = None
    ):
        self.classes = list(VOC_CLASSES)
        self.palette = voc_palette(len(VOC_CLASSES))
        base = Path(root, "VOC2012") if Path(root, "VOC2012").is_dir() else Path(root)
        folder = labels or (
            "SegmentationClassAug" if split.endswith("aug") else "SegmentationClass"
        )
        images = require_folder(base / "JPEGImages", "the images of PASCAL VOC")
        truths = require_folder(base / folder, f"the label images of split {split!r}")
        names = _read_list(base / "ImageSets" / "Segmentation" / f"{split}.txt")
        super().__init__(
            names, [images / f"{n}.jpg" for n in names], [truths / f"{n}.png" for n in names]
        )
        self._require_files()

    def _require_files(self) -> None:
        missing = [p for p in [*self.image_paths, *self.label_paths] if not p.is_file()]
        if missing:
            raise FileNotFoundError(
                f"{missing[0]}: no such file; {len(missing)} files of this split are missing"
            )


def _read_list(path: Path) -> list[str]:
    """Read a split: one name a line, or the augmented lists' '/JPEGImages/a.jpg /.../a.png'."""
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
        raise FileNotFoundError(f"{path}: no such list; lists found: {known}")
    names = [Path(line.split()[0]).stem for line in path.read_text().splitlines() if line.strip()]
    if not names:
        raise ValueError(f"{path}: an empty list")
    return names
