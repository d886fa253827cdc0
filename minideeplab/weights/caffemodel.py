"""Reader of Caffe's ``.caffemodel`` files, which are protocol buffers.

A protocol-buffer message is a sequence of fields, each a tag (field number and wire type, a varint)
and a value: a varint (wire type 0), 8 bytes (1), a length and that many bytes (2), or 4 bytes (5).
The field numbers below are those of Caffe's ``caffe.proto``. ``NetParameter`` holds layers in one
of two forms: V1 (field 2, before 2015; the released VGG-16) or V2 (field 100).
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minideeplab.budget import AXES, Budget, checked_size
from minideeplab.weights.state import StateDict

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIELD = 5  # steps of the budget that a field costs: a net has thousands
LONGEST_NAME = 1000  # of a layer, in bytes

# Messages and field numbers of caffe.proto.
NET_V1_LAYER, NET_LAYER = 2, 100


class LayerFields(NamedTuple):
    """Field numbers of a layer message: its name, type and blobs."""

    name: int
    type: int
    blobs: int


V1_LAYER = LayerFields(name=4, type=5, blobs=6)
LAYER = LayerFields(name=1, type=2, blobs=7)
BLOB_LEGACY_SHAPE = (1, 2, 3, 4)  # num, channels, height, width
BLOB_DATA, BLOB_SHAPE, BLOB_DOUBLE_DATA = 5, 7, 8
SHAPE_DIM = 1
V1_TYPES = {4: "Convolution", 14: "InnerProduct", 39: "Deconvolution"}  # V1's enumeration

#: Names of a layer's blobs, by its type; of every other type weight and bias.
BLOB_NAMES = {"BatchNorm": ("running_mean", "running_var", "scale_factor")}


class Field(NamedTuple):
    """A field's number, wire type and value: an int, or the bytes of types 1, 2 and 5."""

    number: int
    wire: int
    value: int | memoryview


class Blob(NamedTuple):
    """A blob's values, and its shape: four numbers, if ``legacy``."""

    values: np.ndarray
    shape: tuple[int, ...]
    legacy: bool


def read(path: Path) -> StateDict:
    """Return every layer's blobs: "conv1_1.weight", "conv1_1.bias", ...

    Convolutions are (out, in, kH, kW), InnerProduct layers (out, in), biases (out,), also where
    the file has the old four-number shapes. A BatchNorm layer gives running_mean and
    running_var, divided by the scale factor that Caffe stores beside them; a Scale layer gives
    weight and bias. Blobs saved as double are float64, all others float32.

    Raises:
        ValueError: not a network, a damaged or truncated one, or one without weights.
    """
    with open(path, "rb") as handle:
        message = memoryview(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ))
    state = _network(message, _Reader(Budget(len(message))))
    if not state:
        raise ValueError("a Caffe network without weights (a definition only?)")
    return state


def _network(message: memoryview, reader: _Reader) -> StateDict:
    state = StateDict(origin="caffe")
    for field in reader.fields(message):
        if field.number in (NET_V1_LAYER, NET_LAYER) and field.wire == BYTES:
            layout = V1_LAYER if field.number == NET_V1_LAYER else LAYER
            state.update(_layer(reader, field.value, layout))
    return state


def _layer(reader: _Reader, message: memoryview, layout: LayerFields) -> dict[str, np.ndarray]:
    name, kind, blobs = "", "", []
    for field in reader.fields(message):
        if field.number == layout.name and field.wire == BYTES:
            name = bytes(field.value[:LONGEST_NAME]).decode()
        elif field.number == layout.type:
            value = field.value
            kind = V1_TYPES.get(value, "") if isinstance(value, int) else bytes(value).decode()
        elif field.number == layout.blobs and field.wire == BYTES:
            blobs.append(_blob(reader, field.value))
    try:
        arrays = [_array(blob, kind, index) for index, blob in enumerate(blobs)]
    except ValueError as error:
        raise ValueError(f"layer {name}: {error}") from error
    return named_blobs(name, kind, arrays)


def named_blobs(name: str, kind: str, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the blobs of the layer ``name`` by their names, "conv1_1.weight" and so on."""
    if kind == "BatchNorm" and len(arrays) == 3:
        arrays = _unscaled(*arrays)
    names = BLOB_NAMES.get(kind, ("weight", "bias"))
    names += tuple(f"blob{i}" for i in range(len(names), len(arrays)))
    return {f"{name}.{what}": array for what, array in zip(names, arrays, strict=False)}


def _unscaled(mean: np.ndarray, var: np.ndarray, factor: np.ndarray) -> list[np.ndarray]:
    """Return mean and variance divided by Caffe's scale factor, the accumulated weight."""
    scale = 0.0 if factor.item() == 0 else 1.0 / factor.item()
    return [(mean * scale).astype(mean.dtype), (var * scale).astype(var.dtype)]


def _blob(reader: _Reader, message: memoryview) -> Blob:
    pieces: list[np.ndarray] = []
    legacy, shape = dict.fromkeys(BLOB_LEGACY_SHAPE), None
    for field in reader.fields(message, runs=(BLOB_DATA, BLOB_DOUBLE_DATA)):
        if field.number in legacy and field.wire == VARINT:
            legacy[field.number] = field.value
        elif field.number == BLOB_SHAPE and field.wire == BYTES:
            shape = _dims(reader, field.value)
        elif field.number == BLOB_DATA and field.wire in (BYTES, FIXED32):
            pieces.append(_numbers(field.value, "<f4"))
        elif field.number == BLOB_DOUBLE_DATA and field.wire in (BYTES, FIXED64):
            pieces.append(_numbers(field.value, "<f8"))
    values = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
    if shape is not None:
        return Blob(values, shape, legacy=False)
    return Blob(values, tuple(legacy[n] or 0 for n in BLOB_LEGACY_SHAPE), legacy=True)


def _dims(reader: _Reader, message: memoryview) -> tuple[int, ...]:
    """BlobShape: the dims, packed into one field or one field each."""
    dims: list[int] = []
    for field in reader.fields(message):
        if field.number != SHAPE_DIM:
            continue
        if isinstance(field.value, int):
            dims.append(field.value)
            continue
        position = 0
        while position < len(field.value) and len(dims) <= AXES:
            value, position = _varint(field.value, position)
            dims.append(value)
    if len(dims) > AXES:
        raise ValueError(f"a blob of more than {AXES} axes")
    return tuple(dims)


def _numbers(data: memoryview, dtype: str) -> np.ndarray:
    if len(data) % np.dtype(dtype).itemsize:
        raise ValueError(f"{len(data)} bytes of data are not a whole number of floats")
    return np.frombuffer(data, dtype).astype(dtype[1:])


def _array(blob: Blob, kind: str, index: int) -> np.ndarray:
    """Return a blob's array; of a legacy four-number shape only the axes that the layer uses."""
    values, shape = blob.values, blob.shape
    checked_size(f"blob {index}", shape, values.itemsize, values.nbytes)
    if math.prod(shape) != values.size:
        raise ValueError(f"blob {index} of shape {shape} has {values.size} values")
    if blob.legacy and index > 0:
        shape = (values.size,)  # a bias: (1, 1, 1, N)
    elif blob.legacy and kind == "InnerProduct":
        shape = shape[2:]  # (1, 1, out, in)
    return values.reshape(shape)


# ---------------------------------------------------------------- protocol-buffer wire format


class _Reader:
    """Iterates over messages; counts fields, to bound the time for any file."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def fields(self, message: memoryview, runs: tuple[int, ...] = ()) -> Iterator[Field]:
        """Yield a message's fields; a run of unpacked numbers in ``runs`` is one field."""
        position = 0
        while position < len(message):
            self.budget.step(FIELD)
            begin = position
            tag, position = _varint(message, position)
            number, wire = tag >> 3, tag & 7
            if wire == VARINT:
                value, position = _varint(message, position)
                yield Field(number, wire, value)
                continue
            if number in runs and wire in (FIXED32, FIXED64) and position - begin == 1:
                value, position = _run(message, begin, 4 if wire == FIXED32 else 8)
                yield Field(number, wire, value)
                continue
            size, position = _length(message, position, wire)
            if number == 0 or size > len(message) - position:
                raise ValueError("truncated or damaged (a field is longer than what holds it)")
            yield Field(number, wire, message[position : position + size])
            position += size


def _length(message: memoryview, position: int, wire: int) -> tuple[int, int]:
    """Return the length of a field's value, and its first position."""
    if wire == FIXED64:
        return 8, position
    if wire == FIXED32:
        return 4, position
    if wire == BYTES:
        return _varint(message, position)
    raise ValueError(f"truncated or damaged (wire type {wire} is not in use)")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Decode 7 bits a byte, the lowest first, while the top bit is set."""
    value = 0
    for shift in range(0, 64, 7):
        if position >= len(message):
            raise ValueError("truncated (it ends within a number)")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("damaged (a number of more than 64 bits)")


def _run(message: memoryview, begin: int, itemsize: int) -> tuple[memoryview, int]:
    """Join a run of unpacked numbers: (one-byte tag, number) * n -> the numbers' bytes.

    Old files give every float of a blob its own tag, and VGG-16 has 138 million. Records are
    compared in blocks, each twice as long as the one before.
    """
    record = np.dtype([("tag", "u1"), ("value", f"V{itemsize}")])
    tag, pieces, block = message[begin], [], 1024
    while True:
        count = min(block, (len(message) - begin) // record.itemsize)
        records = np.frombuffer(message[begin : begin + count * record.itemsize], record)
        same = records["tag"] == tag
        used = count if same.all() else int(np.argmin(same))
        pieces.append(records["value"][:used].tobytes())
        begin += used * record.itemsize
        if not pieces[0]:
            raise ValueError("truncated (it ends within a number)")
        if used < block:
            return memoryview(b"".join(pieces)), begin
        block *= 2
