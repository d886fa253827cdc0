"""How to convert what annotation tools export into masks that are read here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

LARGEST_PEEK = 1 << 20  # bytes of a file that are looked at


def conversion(root: str | os.PathLike[str]) -> str:
    """Return "; " and how to convert the annotations below a folder; "" if none are known."""
    for path in _annotation_files(Path(root)):
        text = _how_to_convert(path)
        if text:
            return f"; {path.name} is {text}"
    return ""


def _annotation_files(root: Path) -> list[Path]:
    """Return the first .json or .xml file of the folder and of each folder in it."""
    folders = [root, *sorted(p for p in root.iterdir() if p.is_dir())] if root.is_dir() else []
    found = []
    for folder in folders:
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".json", ".xml"))
        found += files[:1]
    return found


def _how_to_convert(path: Path) -> str:
    """Return what an annotation file is and which tool makes masks of it."""
    with open(path, encoding="utf-8", errors="replace") as file:
        start = file.read(LARGEST_PEEK)
    if path.suffix.lower() == ".xml":
        if "<annotations>" in start:
            return "CVAT's XML: export the task again as 'Segmentation mask 1.1'"
        if "<bndbox" in start:
            return "a PASCAL VOC detection annotation: it has boxes, no masks"
        return ""
    keys = _top_keys(start)
    if "shapes" in keys and "imagePath" in keys:
        return (
            "labelme's JSON: labelme2voc.py (examples/semantic_segmentation of labelme) writes "
            "JPEGImages and SegmentationClassPNG; rename the latter to SegmentationClass"
        )
    if "annotations" in keys and "categories" in keys:
        return "COCO's JSON: draw masks with pycocotools, COCO(file).annToMask(annotation)"
    return ""


def _top_keys(text: str) -> set[str]:
    """Return the keys of a JSON object; of one that is cut off, the known words in it."""
    try:
        value: Any = json.loads(text)
        return set(value) if isinstance(value, dict) else set()
    except ValueError:
        words = ("shapes", "imagePath", "annotations", "categories")
        return {word for word in words if f'"{word}"' in text}
