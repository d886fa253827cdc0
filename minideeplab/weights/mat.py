"""Reader of MatConvNet's ``.mat`` files, SimpleNN and DagNN, of MATLAB 5 to 7.3.

MatConvNet keeps filters as (kH, kW, in, out) and biases as (1, out), both single. Its VGG-16
takes RGB input where Caffe's takes BGR; :mod:`minideeplab.weights.vgg` reverses the channels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from minideeplab.budget import Budget
from minideeplab.weights.hdf5 import NUMBERS, datasets
from minideeplab.weights.mat5 import ELEMENT, MAX_DEPTH, read_variables
from minideeplab.weights.state import StateDict


def read(path: Path) -> StateDict:
    """Return a network's arrays: "conv1_1.weight" (out, in, kH, kW), "conv1_1.bias" (out,), ...

    Batch normalisation layers give weight, bias, running_mean and running_var. A file that holds
    no network gives its numeric variables as they are.

    Raises:
        ValueError: damaged, without numbers, or sizes that the file does not have.
    """
    with open(path, "rb") as file:
        old = file.read(10) == b"MATLAB 5.0"
    budget = Budget(path.stat().st_size)
    variables = read_variables(path, budget) if old else _read_73(path, budget)
    net = variables.get("net", variables)
    layers = net.get("layers") if isinstance(net, dict) else None
    if isinstance(layers, dict):
        layers = [layers]  # a network of one layer
    if isinstance(layers, list) and all(isinstance(layer, dict) for layer in layers):
        parameters = net.get("params")
        return _simple_nn(layers) if parameters is None else _dag_nn(layers, parameters, budget)
    arrays = {name: value for name, value in variables.items() if isinstance(value, np.ndarray)}
    if not arrays:
        raise ValueError("holds neither a MatConvNet network nor arrays")
    return StateDict((name, np.ascontiguousarray(value)) for name, value in arrays.items())


# ---------------------------------------------------------------- the two kinds of network


def _simple_nn(layers: list[dict[str, Any]]) -> StateDict:
    """Return the arrays of layers with ``weights`` {filters, biases}, in old files two fields."""
    state = StateDict(origin="matconvnet")
    for layer in layers:
        weights = layer.get("weights")
        if not isinstance(weights, list):
            weights = [layer[field] for field in ("filters", "biases") if field in layer]
        state.update(_parameters(str(layer.get("name")), str(layer.get("type")), weights))
    return _not_empty(state)


def _dag_nn(layers: list[dict[str, Any]], parameters: Any, budget: Budget) -> StateDict:
    """Return the arrays of layers that refer to parameters by name: (name, value) structs."""
    parameters = [parameters] if isinstance(parameters, dict) else parameters
    values = {entry["name"]: entry["value"] for entry in parameters}
    state = StateDict(origin="matconvnet")
    for layer in layers:
        names = layer.get("params")
        weights = [values[name] for name in names] if isinstance(names, list) else []
        budget.spend("its layers", sum(getattr(value, "nbytes", 0) for value in weights))
        state.update(_parameters(str(layer["name"]), str(layer.get("type")), weights))
    return _not_empty(state)


def _not_empty(state: StateDict) -> StateDict:
    if not state:
        raise ValueError("a MatConvNet network without weights")
    return state


def _parameters(name: str, kind: str, weights: list[Any]) -> dict[str, np.ndarray]:
    arrays = [value for value in weights if isinstance(value, np.ndarray) and value.size]
    if not arrays:
        return {}
    if "norm" in kind.lower() and len(arrays) >= 2:
        return _batch_norm(name, arrays)
    filters = arrays[0]
    if filters.ndim > 4:
        raise ValueError(f"layer {name}: filters of shape {filters.shape}, expected 4 axes")
    filters = filters.reshape(filters.shape + (1,) * (4 - filters.ndim))  # MATLAB drops trailing 1s
    found = {f"{name}.weight": np.ascontiguousarray(filters.transpose(3, 2, 0, 1))}
    if len(arrays) > 1:
        found[f"{name}.bias"] = arrays[1].ravel(order="F")
    return found


def _batch_norm(name: str, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return a norm's arrays from multipliers, biases, and (C, 2) means and standard deviations."""
    found = {f"{name}.weight": arrays[0].ravel(), f"{name}.bias": arrays[1].ravel()}
    if len(arrays) > 2:
        found[f"{name}.running_mean"] = arrays[2][:, 0].copy()
        found[f"{name}.running_var"] = arrays[2][:, 1] ** 2
    return found


# ---------------------------------------------------------------- version 7.3

TEXT = 40  # bytes of Python objects that a byte of characters becomes for a moment


def _read_73(path: Path, budget: Budget) -> dict[str, Any]:
    """Return a version 7.3 file's variables, as ``read_variables`` does; the format is HDF5."""
    with h5py.File(path, "r") as file:
        for _ in datasets(file, Budget(budget.file_size)):
            pass  # all sizes are checked before anything is read
        reader = _Reader73(file, budget)
        return {name: reader.value(file[name], 0) for name in file if not name.startswith("#")}


class _Reader73:
    """Converter of HDF5 nodes to MATLAB's values.

    Each visit of a node is counted, since references can form loops and name an array repeatedly.
    """

    def __init__(self, file: h5py.File, budget: Budget) -> None:
        self.file, self.budget = file, budget

    def value(self, node: h5py.Group | h5py.Dataset, depth: int) -> Any:
        """Return a node's value: groups are structs, references cells, arrays are transposed."""
        self.budget.step(ELEMENT)
        if depth > MAX_DEPTH:
            raise ValueError("cells or structs are nested too deep, or in a loop")
        if isinstance(node, h5py.Group):
            return self.struct(node, depth)
        kind = _matlab_class(node)
        if "MATLAB_empty" in node.attrs:
            return {b"cell": [], b"char": ""}.get(kind, np.empty((0, 0)))
        is_text = kind == b"char"
        self.budget.spend("its arrays", node.nbytes * (TEXT if is_text else 1))
        if _holds_references(node):
            references = node[()].ravel()  # reversed axes: row-major here is MATLAB's order
            return [self.value(self.file[reference], depth + 1) for reference in references]
        if is_text:
            return "".join(map(chr, node[()].ravel()))
        return node[()].T if node.dtype.kind in NUMBERS else None

    def struct(self, node: h5py.Group, depth: int) -> Any:
        """Return a struct, or a list of structs if every field is a bare list of references."""
        fields = {name: self.value(node[name], depth + 1) for name in node}
        if not fields or not all(_is_bare_list(node[name]) for name in node):
            return fields
        count = min(len(values) for values in fields.values())
        return [{name: values[i] for name, values in fields.items()} for i in range(count)]


def _matlab_class(node: h5py.Dataset) -> bytes:
    """Return b"cell", b"char", b"single" ...; b"" for variable length (see hdf5.py)."""
    if "MATLAB_class" not in node.attrs:
        return b""
    attribute = node.attrs.get_id("MATLAB_class")
    return bytes(node.attrs["MATLAB_class"]) if attribute.dtype.kind == "S" else b""


def _is_bare_list(node: h5py.Group | h5py.Dataset) -> bool:
    """Tell whether a node holds references without a MATLAB class, so is no cell."""
    is_list = isinstance(node, h5py.Dataset) and _holds_references(node)
    return is_list and "MATLAB_class" not in node.attrs


def _holds_references(node: h5py.Dataset) -> bool:
    return h5py.check_ref_dtype(node.dtype) is h5py.Reference
