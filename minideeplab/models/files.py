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
from typing import Any, BinaryIO

import numpy as np

from minideeplab.arrays import to_host
from minideeplab.budget import Budget, checked_size, one_line, read_bytes
from minideeplab.files import atomic_write, require_file

META = "__meta__"


def write_npz(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]
) -> None:
    """Write arrays and JSON-able ``meta`` to ``path``: completely, or not at all.

    As ``np.savez`` would, but under any name, ``file`` and ``allow_pickle`` among them. Raises
    ValueError for a name that the archive cannot hold, and for arrays of Python objects.
    """
    for name in arrays:
        check_name(name)
    entries = {**arrays, META: np.array(json.dumps(meta))}
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in entries.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def check_name(name: str) -> None:
    """Raise ValueError for an array's name that would be lost or changed in a .npz file."""
    entry = f"{name}.npy"
    length = len(entry.encode(errors="surrogatepass"))
    is_text = name.isprintable() or name == name.encode(errors="ignore").decode()
    if name == META or zipfile.ZipInfo(entry).filename != entry or length > 1 << 15 or not is_text:
        raise ValueError(f"{one_line(repr(name), 100)}: no array in a .npz file can have this name")


def read_npz(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what ``write_npz`` wrote: (arrays by name, meta).

    Raises FileNotFoundError, or ValueError for a file that is not such a .npz or is damaged.
    """
    try:
        arrays = read_arrays(path)
        meta = json.loads(str(arrays.pop(META)))
    except KeyError:
        raise ValueError(f"{path}: has no {META} entry; not written by minideeplab") from None
    except FileNotFoundError:
        raise
    except Exception as error:  # damaged archives make zipfile and zlib raise nearly anything
        reason = one_line(error, 150)
        raise ValueError(f"{path}: not a readable minideeplab .npz file ({reason})") from error
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

    require_file(path, "a .safetensors file")
    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}
            meta = file.metadata() or {}
    except (SafetensorError, TypeError) as error:
        reason = one_line(error, 150)
        raise ValueError(f"{path}: not a readable .safetensors file ({reason})") from error
    return arrays, {key: _parsed(text) for key, text in meta.items()}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def read_arrays(
    path: str | os.PathLike[str], budget: Budget | None = None
) -> dict[str, np.ndarray]:
    """Return the arrays of a .npz file by name, never running code.

    Without a ``budget`` entries may not unpack to more than the file: ``np.savez`` does not
    compress. Raises ValueError if they do, are damaged, or hold pickled Python objects.
    """
    require_file(path, "a .npz file")
    arrays, size = {}, os.path.getsize(path)
    with zipfile.ZipFile(path) as archive:
        total = sum(entry.file_size for entry in archive.infolist())
        if budget is not None:
            budget.spend("its entries", total)
        elif total > size:
            raise ValueError(f"its entries claim {total:,} bytes, more than the file's {size:,}")
        for entry in archive.infolist():
            if entry.filename.endswith(".npy"):
                name = entry.filename.removesuffix(".npy")
                with archive.open(entry) as file:
                    arrays[name] = read_array(file, entry.file_size, name)
    return arrays


def read_array(file: BinaryIO, size: int, name: str) -> np.ndarray:
    """Return one .npy array, after its header was checked against the ``size`` bytes available."""
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
    data = read_bytes(file, needed, name)
    file.read(1)  # at the end of an archive's entry its checksum is compared
    return data.view(dtype).reshape(shape, order="F" if fortran else "C")


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
