"""Reader of NumPy's ``.npz`` and ``.npy`` files; pickled objects are refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minideeplab.weights.state import ORIGINS, StateDict, checked_size, unpacking_limit

META = "__meta__"  # our own entry: a JSON text about the weights


def read(path: Path) -> StateDict:
    """Return the arrays of an archive, unchanged, by name; ``__meta__`` is left out.

    Raises:
        ValueError: damaged, pickled objects inside, or sizes that the file cannot have.
    """
    size = path.stat().st_size
    state, meta = StateDict(), {}
    with zipfile.ZipFile(path) as archive:
        total = sum(entry.file_size for entry in archive.infolist())
        if total > unpacking_limit(size):
            raise ValueError(f"its entries claim to unpack to {total:,} bytes (file: {size:,})")
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if not entry.filename.endswith(".npy"):
                continue
            with archive.open(entry) as file:
                array = _array(file, entry.file_size, name)
            if name == META:
                meta = _parsed(array)
            else:
                state[name] = array
    if not state:
        raise ValueError("an archive without arrays")
    state.origin = meta.get("origin") if meta.get("origin") in ORIGINS else None
    return state


def read_npy(path: Path) -> StateDict:
    """Return a file's single array, named "array"."""
    with open(path, "rb") as file:
        return StateDict({"array": _array(file, path.stat().st_size, "array")})


def _array(file: BinaryIO, size: int, name: str) -> np.ndarray:
    """Return one array, after its header was checked against the ``size`` bytes available."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name}: array format {version} is not one of numbers")
    header = np.lib.format.read_array_header_1_0
    if version == (2, 0):
        header = np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if dtype.hasobject:
        raise ValueError(
            f"{name}: pickled Python objects, which are refused: they can run code when loaded"
        )
    needed = checked_size(name, shape, dtype.itemsize, size - file.tell())
    data = bytearray(file.read(needed))
    if len(data) != needed:
        raise ValueError(f"{name}: truncated")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _parsed(array: np.ndarray) -> dict[str, Any]:
    try:
        meta = json.loads(str(array))
    except ValueError:
        return {}
    return meta if isinstance(meta, dict) else {}
