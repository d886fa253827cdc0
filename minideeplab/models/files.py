"""Weight files of minideeplab: a .npz with a state dict's arrays and a JSON entry ``__meta__``.

The JSON says what is needed to use the weights: the model's name, its classes and their palette,
how images are prepared, and how the weights were trained. A .safetensors file holds the same, each
entry of the JSON as a text in its metadata.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from minideeplab.arrays import to_host
from minideeplab.files import atomic_write

META = "__meta__"


def write_npz(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]
) -> None:
    """Write arrays and JSON-able ``meta`` to ``path``: completely, or not at all."""
    entries = {**arrays, META: np.array(json.dumps(meta))}
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **entries)


def read_npz(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what ``write_npz`` wrote: (arrays by name, meta).

    Raises FileNotFoundError, or ValueError for a file that is not such a .npz or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            largest = max((entry.file_size for entry in archive.infolist()), default=0)
        if largest > os.path.getsize(path):  # np.savez does not compress: nothing unpacks to more
            raise ValueError(f"an entry claims to unpack to {largest:,} bytes")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(str(arrays.pop(META)))
    except KeyError:
        raise ValueError(f"{path}: has no {META} entry; not written by minideeplab") from None
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError, MemoryError) as error:
        raise ValueError(f"{path}: not a readable minideeplab .npz file ({error})") from error
    if not isinstance(meta, dict):
        raise ValueError(f"{path}: {META} is not a JSON object")
    return arrays, meta


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a ``.npz`` or ``.safetensors`` file of ours: (arrays by name, meta).

    Raises FileNotFoundError, or ValueError for any other file.
    """
    if os.fspath(path).lower().endswith(".safetensors"):
        return read_safetensors(path)
    return read_npz(path)


def read_safetensors(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a ``.safetensors`` file: (arrays by name, meta), the meta's texts parsed if JSON."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}
            meta = file.metadata() or {}
    except (SafetensorError, TypeError) as error:
        raise ValueError(f"{path}: not a readable .safetensors file ({error})") from error
    return arrays, {key: _parsed(text) for key, text in meta.items()}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def save_weights(
    path: str | os.PathLike[str],
    state: Mapping[str, np.ndarray],
    meta: Mapping[str, Any],
    dtype: np.typing.DTypeLike = np.float16,
) -> None:
    """Write a network's ``state`` for use, by default in half precision (half the size).

    Raises ValueError when a value does not fit ``dtype``.
    """
    arrays = {}
    for name, array in state.items():
        with np.errstate(over="ignore"):
            arrays[name] = to_host(array).astype(dtype)
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name}: has values that {np.dtype(dtype)} cannot hold")
    write_npz(path, arrays, meta)
