"""The table in ONNX's node test format, written without the onnx package.

Every row becomes a folder ``test_<op>_<row>_<dtype>`` with ``model.onnx``, a graph of one node, and
``test_data_set_0/input_<i>.pb`` and ``output_0.pb``, as in ONNX's own backend tests. The encoding
is protobuf's (field numbers from onnx.proto). Unbatched rows and options that ONNX lacks are left
out.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.testing.case import Case
from minideeplab.testing.export import full_options
from minideeplab.testing.operations import OPERATIONS, cases
from minideeplab.testing.runner import DTYPES, reference

OPSET, IR_VERSION = 22, 10  # from 22 on, ceil_mode drops windows that start in the padding
DATA_TYPES = {"float32": 1, "float64": 11}


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: int | float | str | bytes) -> bytes:
    """Encode one field: whole numbers as varint, floats as 4 bytes, the rest with its length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def tensor(name: str, array: np.ndarray) -> bytes:
    """Return a TensorProto."""
    dims = b"".join(_field(1, int(n)) for n in array.shape)
    data = np.ascontiguousarray(array).tobytes()
    kind = _field(2, DATA_TYPES[array.dtype.name])
    return dims + kind + _field(8, name) + _field(9, data)


def _attribute(name: str, value: int | float | Sequence[int]) -> bytes:
    """Return an AttributeProto: type 2 is INT, 1 FLOAT, 7 INTS."""
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, 2)
    if isinstance(value, float):
        return _field(1, name) + _field(2, value) + _field(20, 1)
    return _field(1, name) + b"".join(_field(8, int(v)) for v in value) + _field(20, 7)


def _value(name: str, array: np.ndarray) -> bytes:
    """Return a ValueInfoProto: name, element type and shape."""
    shape = b"".join(_field(1, _field(1, int(n))) for n in array.shape)
    kind = _field(1, DATA_TYPES[array.dtype.name]) + _field(2, shape)
    return _field(1, name) + _field(2, _field(1, kind))


def model(
    operator: str, attributes: dict[str, Any], inputs: dict[str, np.ndarray], output: np.ndarray
) -> bytes:
    """Return a ModelProto whose graph is one node of ``operator``."""
    node = b"".join(_field(1, name) for name in inputs) + _field(2, "output") + _field(4, operator)
    node += b"".join(_field(5, _attribute(name, value)) for name, value in attributes.items())
    graph = _field(1, node) + _field(2, operator)
    graph += b"".join(_field(11, _value(name, array)) for name, array in inputs.items())
    graph += _field(12, _value("output", output))
    opset = _field(1, "") + _field(2, OPSET)
    return _field(1, IR_VERSION) + _field(2, "minideeplab") + _field(7, graph) + _field(8, opset)


OPERATORS = {name: record.onnx for name, record in OPERATIONS.items() if record.onnx}
"""ONNX's operator for each of ours, and its attributes from our options."""


def exportable(op: str) -> list[Case]:
    """Return the rows of ``op`` that ONNX can state.

    Raises:
        ValueError: ONNX has no such operator, or none with these meanings.
    """
    if op not in OPERATORS:
        raise ValueError(f"op must be one of {', '.join(OPERATORS)} for ONNX; got {op!r}")
    hard = {"unbatched", "quirk", "empty"}
    return [case for case in cases(op)
            if not case.tags & hard and "divisor_override" not in case.options]  # fmt: skip


def export_onnx(op: str, folder: str | Path, dtypes: Sequence[str] = DTYPES) -> int:
    """Write the rows of ``op`` as ONNX node tests into a new folder; return their number.

    Raises:
        ValueError: ONNX has no such operator.
        FileExistsError: the folder is there and not empty.
    """
    rows, folder = exportable(op), Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(17, "the folder is not empty", str(folder))
    operator, attributes_of = OPERATORS[op]
    for case in rows:
        for dtype in dtypes:
            inputs = {name: array for name, array in case.arguments(dtype).items()
                      if array is not None}  # fmt: skip
            output = reference(case, dtype)["output"].astype(dtype)
            target = folder / f"test_{op}_{case.name.replace('-', '_')}_{dtype}"
            data = target / "test_data_set_0"
            data.mkdir(parents=True)
            graph = model(operator, attributes_of(full_options(case)), inputs, output)
            (target / "model.onnx").write_bytes(graph)
            for i, (name, array) in enumerate(inputs.items()):
                (data / f"input_{i}.pb").write_bytes(tensor(name, array))
            (data / "output_0.pb").write_bytes(tensor("output", output))
    return len(rows) * len(dtypes)
