"""Reader of PyTorch's ``.pth`` and ``.pt`` files; their pickles are never executed.

The zip format (since PyTorch 1.6) holds ``NAME/data.pkl``, whose persistent identifiers name
storages, and each storage's bytes as an uncompressed entry ``NAME/data/KEY``. The older format is
a row of pickles (magic number, version, system, the object, the list of storage keys), then each
storage as a count and its bytes. Either way a tensor is a view: storage, offset, shape, strides.

The pickle is parsed first and gives tensor descriptions only. The bytes are read afterwards, for
the tensors of the state dict alone, when every size was checked against the file's.
"""

from __future__ import annotations

import io
import mmap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.budget import Budget, checked_size, read_entry
from minideeplab.weights.state import StateDict
from minideeplab.weights.torch_tensors import Storage, call, dtype_of, find_state, materialise
from minideeplab.weights.unpickle import Global, unpickle

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
LEGACY_MAGIC = MAGIC_NUMBER.to_bytes(10, "little")  # pickled: within the first bytes of the file


# ---------------------------------------------------------------- zip


def read_zip(path: Path) -> StateDict:
    """Return the state dict of a zip-format file: names and arrays as saved.

    bfloat16 becomes float32; every other dtype stays.

    Raises:
        ValueError: a damaged file, a pickle with code, or sizes larger than the file.
    """
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        budget = Budget(path.stat().st_size)
        folder = _folder(entries, budget.file_size)
        pickle = io.BytesIO(read_entry(archive, entries[folder + "data.pkl"]))
        views = find_state(unpickle(pickle, call, _zip_storage, budget), budget)
        order = b"little"
        if folder + "byteorder" in entries:
            order = read_entry(archive, entries[folder + "byteorder"]).tobytes()

        def read(storage: Storage) -> np.ndarray:
            name = f"{folder}data/{storage.key}"
            if name not in entries:
                raise ValueError(f"tensor data {name!r} are missing from the archive")
            return read_entry(archive, entries[name])

        return materialise(views, read, order.decode("ascii", "replace"), budget)


def _folder(entries: dict[str, zipfile.ZipInfo], file_size: int) -> str:
    """Return the path before ``data.pkl``, after checking the archive's entries."""
    pickles = [name for name in entries if name.split("/")[-1] == "data.pkl"]
    folder = min(pickles, key=len).removesuffix("data.pkl")
    if folder + "constants.pkl" in entries:
        raise ValueError("a TorchScript program; save its state_dict() with torch.save instead")
    total = sum(entry.file_size for entry in entries.values())
    if total > file_size:
        raise ValueError(
            f"its entries claim {total:,} bytes, more than the file's {file_size:,}; "
            "PyTorch does not compress"
        )
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
        raise ValueError("its entries are compressed; PyTorch does not compress")
    return folder


def _zip_storage(identifier: Any) -> Storage:
    """('storage', class, key, device, count) -> Storage."""
    match identifier:
        case ("storage", Global() as kind, str() as key, _, int() as count):
            return Storage(key, kind.name, count)
    raise ValueError("the pickle refers to something that is not a tensor's data")


# ---------------------------------------------------------------- before PyTorch 1.6


def read_legacy(path: Path) -> StateDict:
    """Return the state dict of a file of PyTorch before 1.6, or of the legacy format.

    As :func:`read_zip`; the data are little-endian on every machine.
    """
    with open(path, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as file:
        budget = Budget(len(file))
        if unpickle(file, call, budget=budget) != MAGIC_NUMBER:
            raise ValueError("not a PyTorch file (wrong magic number)")
        unpickle(file, call, budget=budget)  # the format's version: 1001 in every release
        unpickle(file, call, budget=budget)  # sizes of C types on the writing machine
        kinds: dict[str, str] = {}
        saved = unpickle(file, call, lambda name: _legacy_storage(name, kinds), budget)
        extents = _extents(file, unpickle(file, call, budget=budget), kinds)

        def read(storage: Storage) -> np.ndarray:
            begin, size = extents[storage.key]
            raw = np.empty(size, np.uint8)
            handle.seek(begin)
            handle.readinto(raw)
            return raw

        return materialise(find_state(saved, budget), read, "little", budget)


def _legacy_storage(identifier: Any, kinds: dict[str, str]) -> Storage:
    """('storage', class, key, device, count, None or (key, start, count)) -> Storage."""
    match identifier:
        case ("storage", Global() as kind, str() as key, _, int() as count, view):
            kinds[key] = kind.name
            if view is None:
                return Storage(key, kind.name, count)
            _, start, count = view
            return Storage(key, kind.name, int(count), int(start))
        case ("module", Global() as kind, *_):
            raise ValueError(
                f"it holds a whole pickled module ({kind}), not a state dict; in PyTorch, save "
                "model.state_dict() instead of the model"
            )
    raise ValueError("the pickle refers to something that is not a tensor's data")


def _extents(file: mmap.mmap, keys: Any, kinds: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Return each storage's first byte and size; an 8-byte count precedes each."""
    extents = {}
    position, size = file.tell(), len(file)
    for key in keys if isinstance(keys, list) else ():
        if not isinstance(key, str) or key not in kinds:
            raise ValueError("its list of storages does not fit its pickle")
        count = int.from_bytes(file[position : position + 8], "little", signed=True)
        itemsize = dtype_of(kinds[key]).itemsize
        needed = checked_size(f"storage {key}", (count,), itemsize, size - position - 8)
        extents[key] = (position + 8, needed)
        position += 8 + needed
    if missing := kinds.keys() - extents.keys():
        raise ValueError(f"the data of {len(missing)} storages are missing (truncated?)")
    return extents
