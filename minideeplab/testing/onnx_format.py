"""The table in ONNX's node test format.

Every row becomes a folder ``test_<op>_<row>_<dtype>`` with ``model.onnx``, a graph of one node, and
``test_data_set_0/input_<i>.pb`` and ``output_0.pb``, as in ONNX's own backend tests. Unbatched rows
and options that ONNX lacks are left out. It needs the package ``onnx``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minideeplab.testing.case import Case
from minideeplab.testing.export import full_options
from minideeplab.testing.operations import OPERATIONS, cases
from minideeplab.testing.runner import DTYPES, reference
from minideeplab.weights.onnx_export import import_onnx

OPSET, IR_VERSION = 22, 10  # from 22 on, ceil_mode drops windows that start in the padding


def model(
    operator: str, attributes: dict[str, Any], inputs: dict[str, np.ndarray], output: np.ndarray
) -> Any:
    """Return an ``onnx.ModelProto`` whose graph is one node of ``operator``."""
    onnx = import_onnx()
    named = {**inputs, "output": output}
    *given, result = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in named.items()
    ]
    node = onnx.helper.make_node(operator, list(inputs), ["output"], **attributes)
    graph = onnx.helper.make_graph([node], operator, given, [result])
    return onnx.helper.make_model(
        graph, producer_name="minideeplab", ir_version=IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
    )  # fmt: skip


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
        ImportError: the package onnx is not installed.
        FileExistsError: the folder is there and not empty.
    """
    rows, folder, onnx = exportable(op), Path(folder), import_onnx()
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
            onnx.save(graph, target / "model.onnx")
            tensors = {f"input_{i}": pair for i, pair in enumerate(inputs.items())}
            for file, (name, array) in {**tensors, "output_0": ("output", output)}.items():
                onnx.save_tensor(onnx.numpy_helper.from_array(array, name), data / f"{file}.pb")
    return len(rows) * len(dtypes)
