"""Checkpoints: the whole state of a run in one .npz, written atomically."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from minideeplab.arrays import to_host
from minideeplab.models.files import read_npz, write_npz

Arrays = Mapping[str, np.ndarray]


def save(
    path: str | os.PathLike[str], parts: Mapping[str, Arrays], meta: Mapping[str, Any]
) -> None:
    """Write named groups of arrays ("model", "optimizer", ...) and JSON-able ``meta``.

    A process killed at any time leaves the previous file or this one, both complete.
    """
    arrays = {
        f"{part}/{name}": to_host(array)
        for part, group in parts.items()
        for name, array in group.items()
    }
    write_npz(path, arrays, meta)


def load(path: str | os.PathLike[str]) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """Read (parts, meta) as given to ``save``. Raises FileNotFoundError or ValueError."""
    arrays, meta = read_npz(path)
    if not isinstance(meta.get("training"), dict):
        raise ValueError(f"{path}: not the checkpoint of a training run")
    parts: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = array
    return parts, meta
