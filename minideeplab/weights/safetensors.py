"""Reader of ``.safetensors``: a JSON header of names, dtypes, shapes and extents, then bytes.

The first eight bytes are the header's length. The safetensors library is not used, since it cannot
read bfloat16 into NumPy.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.budget import Budget, checked_size
from minideeplab.weights.state import ORIGINS, StateDict, bfloat16_to_float32

MAX_HEADER = 100_000_000  # the format's own limit
PARSED = 25  # most bytes of Python objects that a byte of JSON becomes
DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2", "I64": "i8", "I32": "i4", "I16": "i2",
    "I8": "i1", "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "?", "C64": "c8",
}  # fmt: skip


def read(path: Path) -> StateDict:
    """Return every tensor by name; bfloat16 becomes float32, other dtypes stay.

    Raises:
        ValueError: damaged, truncated, or sizes that the file does not have.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, MAX_HEADER):
            raise ValueError(f"truncated or damaged (its header claims {length:,} bytes)")
        Budget(size).spend("the objects of its header", PARSED * length)
        header = _header(file.read(length))
        metadata = header.pop("__metadata__", None) or {}
        origin = metadata.get("origin") if isinstance(metadata, dict) else None
        state = StateDict(origin=origin if origin in ORIGINS else None)
        available, spent = size - 8 - length, 0
        for name, entry in header.items():
            begin, end = _extent(name, entry, available)
            spent += end - begin
            if spent > available:
                raise ValueError(f"tensor {name}: overlaps others")
            file.seek(8 + length + begin)
            raw = np.frombuffer(bytearray(file.read(end - begin)), np.uint8)
            state[name] = _tensor(name, entry, raw)
    if not state:
        raise ValueError("holds no tensors")
    return state


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("damaged (its header is not JSON)") from error
    if not isinstance(header, dict):
        raise ValueError("damaged (its header is not a table of tensors)")
    return header


def _extent(name: str, entry: Any, available: int) -> tuple[int, int]:
    try:
        begin, end = (int(offset) for offset in entry["data_offsets"])
        shape = tuple(int(size) for size in entry["shape"])
        dtype = DTYPES[entry["dtype"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"tensor {name}: its header entry is damaged or unsupported") from error
    if not 0 <= begin <= end <= available:
        raise ValueError(f"tensor {name}: bytes {begin} to {end} of {available} (truncated?)")
    if checked_size(f"tensor {name}", shape, np.dtype(dtype).itemsize, end - begin) != end - begin:
        raise ValueError(f"tensor {name}: {end - begin} bytes do not fit shape {shape}")
    return begin, end


def _tensor(name: str, entry: dict[str, Any], raw: np.ndarray) -> np.ndarray:
    values = raw.view("<" + DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return bfloat16_to_float32(values) if entry["dtype"] == "BF16" else values
