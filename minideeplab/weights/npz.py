"""Reader of NumPy's ``.npz`` and ``.npy`` files; pickled objects are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.budget import Budget
from minideeplab.models.files import META, read_array, read_arrays
from minideeplab.weights.state import ORIGINS, StateDict


def read(path: Path) -> StateDict:
    """Return the arrays of an archive, unchanged, by name; ``__meta__`` is left out.

    Raises:
        ValueError: damaged, pickled objects inside, or sizes that the file cannot have.
    """
    arrays = read_arrays(path, Budget(path.stat().st_size))
    meta = _parsed(arrays.pop(META)) if META in arrays else {}
    if not arrays:
        raise ValueError("an archive without arrays")
    return StateDict(arrays, origin=meta.get("origin") if meta.get("origin") in ORIGINS else None)


def read_npy(path: Path) -> StateDict:
    """Return a file's single array, named "array"."""
    with open(path, "rb") as file:
        return StateDict({"array": read_array(file, path.stat().st_size, "array")})


def _parsed(array: np.ndarray) -> dict[str, Any]:
    try:
        meta = json.loads(str(array))
    except ValueError:
        return {}
    return meta if isinstance(meta, dict) else {}
