"""Reader of HDF5 files: Keras' ``.h5`` and ``.keras``, Caffe's ``.caffemodel.h5``, plain arrays.

Keras is channels last: kernels are (kH, kW, in, out) and dense kernels (in, out), here turned
into (out, in, kH, kW) and (out, in). A dense
layer after ``Flatten`` has its inputs in the order H, W, C, where Caffe and PyTorch have C, H, W.
For VGG-16's fc1 :mod:`minideeplab.weights.vgg` reorders the columns.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from minideeplab.budget import Budget, read_entry
from minideeplab.weights.caffemodel import named_blobs
from minideeplab.weights.state import StateDict

NUMBERS = "fiub"  # NumPy's dtype kinds

#: Keras' names for a layer's variables, from version 1 to 3.
PARAMETERS = {
    "kernel": "weight", "W": "weight", "depthwise_kernel": "weight", "gamma": "weight",
    "bias": "bias", "b": "bias", "beta": "bias",
    "moving_mean": "running_mean", "running_mean": "running_mean",
    "moving_variance": "running_var", "running_std": "running_var",
}  # fmt: skip
NORM_VARIABLES = ("weight", "bias", "running_mean", "running_var")


def read(path: Path) -> StateDict:
    """Return the arrays of an HDF5 file.

    From Keras 1 and 2: "block1_conv1.weight", "block1_conv1.bias", ...; from Keras 3, which counts
    layers by kind: "conv2d.weight", ..., "conv2d_1.weight", ...; from Keras 0.3: "layer_1.weight",
    ... Batch normalisation gives weight, bias, running_mean and running_var. From Caffe's
    ``.caffemodel.h5``: as from a ``.caffemodel``. From other files: the arrays unchanged, with
    paths joined by dots.

    Raises:
        ValueError: damaged, no arrays, links to other files, or sizes that the file cannot have.
    """
    with open(path, "rb") as file:
        return _read(file, Budget(path.stat().st_size))


def read_keras_zip(path: Path) -> StateDict:
    """Read a Keras 3 ``.keras`` archive: the ``model.weights.h5`` in it, as :func:`read`."""
    budget = Budget(path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("model.weights.h5")
        budget.spend("its weights", 2 * entry.file_size)  # unpacked, and as a file in memory
        return _read(io.BytesIO(read_entry(archive, entry)), budget)


def _read(stream: BinaryIO, budget: Budget) -> StateDict:
    with h5py.File(stream, "r") as file:
        found = dict(datasets(file, budget))
        if not found:
            raise ValueError("an HDF5 file without arrays; expected weights")
        if all(name.startswith("data/") and name[-2:] in ("/0", "/1", "/2") for name in found):
            return _caffe_snapshot(found)
        if all(re.fullmatch(r"layer_\d+/param_\d+", name) for name in found):
            return _keras_0(found)
        if not _is_keras(file, found):
            return StateDict((name.replace("/", "."), array[()]) for name, array in found.items())
        state = StateDict(origin="keras")
        for name, array in found.items():
            if not name.startswith(("optimizer", "_optimizer")):
                key, values = _keras_array(file, name, array)
                state[key if key not in state else name.replace("/", ".")] = values
        return state


def datasets(file: h5py.File, budget: Budget) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yield every array of numbers with its path; links are not followed.

    Raises:
        ValueError: an array with data in another file, or more bytes in all than the budget has.
    """
    found: list[tuple[str, h5py.Dataset]] = []

    def visit(name: str, node: h5py.Group | h5py.Dataset) -> None:
        budget.step()
        budget.spend("its names", len(name))
        if isinstance(node, h5py.Dataset) and node.shape is not None:
            found.append((name, node))

    file.visititems(visit)
    for name, array in found:
        if array.is_virtual or array.external:
            raise ValueError(f"the data of {name} are in another file, which is not read")
        budget.spend("its arrays", math.prod(array.shape) * array.dtype.itemsize)
        if array.dtype.kind in NUMBERS:
            yield name, array


# ---------------------------------------------------------------- Caffe


def _caffe_snapshot(found: dict[str, h5py.Dataset]) -> StateDict:
    """Caffe's ``.caffemodel.h5``: data/conv1_1/0 is conv1_1.weight, data/conv1_1/1 its bias.

    Three blobs are a batch normalisation's mean, variance and scale factor.
    """
    state = StateDict(origin="caffe")
    for layer in dict.fromkeys(name[5:-2] for name in found):
        blobs = [found[name][()] for k in "012" if (name := f"data/{layer}/{k}") in found]
        state.update(named_blobs(layer, "BatchNorm" if len(blobs) == 3 else "", blobs))
    return state


# ---------------------------------------------------------------- Keras


def _keras_0(found: dict[str, h5py.Dataset]) -> StateDict:
    """Keras before 1.0, on Theano: layer_1/param_0 is layer_1.weight, layer_1/param_1 its bias.

    Kernels are (out, in, kH, kW), turned by 180 degrees, as Theano's convolution turns them back;
    dense kernels are (in, out), their inputs flattened in the order C, H, W.
    """
    state = StateDict(origin="keras")
    names = sorted(found, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])
    for name in names:
        layer, parameter = name.split("/param_")
        values = found[name][()]
        values = values[:, :, ::-1, ::-1] if values.ndim == 4 else values.T
        key = f"{layer}.{dict(enumerate(('weight', 'bias'))).get(int(parameter), parameter)}"
        state[key] = np.array(values, order="C")
    return state


def _is_keras(file: h5py.File, found: dict[str, h5py.Dataset]) -> bool:
    marks = ("layer_names", "keras_version")
    return (
        any(mark in file.attrs for mark in marks)
        or "model_weights" in file
        or all("vars" in name.split("/") for name in found)
    )


def _keras_array(file: h5py.File, name: str, array: h5py.Dataset) -> tuple[str, np.ndarray]:
    """Return "layer.parameter" and the values in our layout."""
    parts = name.split("/")
    if parts[-2:-1] == ["vars"]:
        layer, parameter = _version_3(file, parts)
    else:
        layer = parts[-2] if len(parts) > 1 else parts[-1]
        parameter = _version_1_or_2(layer, parts[-1])
    depthwise = "depthwise" in layer or "depthwise" in parts[-1]
    return f"{layer}.{parameter}", _our_layout(array[()], depthwise)


def _version_1_or_2(layer: str, leaf: str) -> str:
    """ "kernel:0", "block1_conv1_W_1:0", "gamma" ... -> "weight" ..."""
    leaf = leaf.split(":")[0].removeprefix(layer + "_")
    return PARAMETERS.get(leaf) or PARAMETERS.get(re.sub(r"_\d+$", "", leaf), leaf)


def _version_3(file: h5py.File, parts: list[str]) -> tuple[str, str]:
    """.../layers/conv2d_1/vars/0 -> "conv2d_1", "weight".

    Keras 3 counts layers by kind; a layer's own name is only in an attribute of variable length,
    and the HDF5 library can be made to hang on reading those.
    """
    variables, layer = file["/".join(parts[:-1])], parts[-3] if len(parts) > 2 else "model"
    first, index = variables.get("0"), int(parts[-1]) if parts[-1].isdecimal() else 99
    if index < 4 and first is not None and first.ndim == 1 and len(variables) == 4:
        return layer, NORM_VARIABLES[index]
    return layer, ("weight", "bias")[index] if index < 2 else parts[-1]


def _our_layout(values: np.ndarray, depthwise: bool) -> np.ndarray:
    if values.ndim == 4 and depthwise:  # (kH, kW, C, M) -> (C * M, 1, kH, kW)
        kh, kw, channels, multiplier = values.shape
        values = values.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, kh, kw)
    elif values.ndim == 4:  # (kH, kW, in, out) -> (out, in, kH, kW)
        values = values.transpose(3, 2, 0, 1)
    elif values.ndim == 2:  # (in, out) -> (out, in)
        values = values.T
    return np.array(values, order="C")
