"""MatConvNet's two kinds of network in MATLAB's two formats, and plain variables."""

from __future__ import annotations

import struct
import zlib

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from minideeplab.weights import load

RNG = np.random.default_rng(2)
FILTERS = RNG.normal(size=(3, 2, 4, 5)).astype(np.float32)  # (kH, kW, in, out)
BIASES = RNG.normal(size=(1, 5)).astype(np.float32)
MOMENTS = np.float32([[1, 2], [3, 4]])  # (C, 2): mean, standard deviation


def cell(*values):
    array = np.empty((1, len(values)), object)
    for i, value in enumerate(values):
        array[0, i] = value
    return array


def save(tmp_path, variables, **options):
    savemat(tmp_path / "net.mat", variables, **options)
    return tmp_path / "net.mat"


def assert_conv(state, name="conv1_1"):
    assert state.origin == "matconvnet"
    np.testing.assert_array_equal(state[f"{name}.weight"], FILTERS.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(state[f"{name}.bias"], BIASES[0])
    assert state[f"{name}.weight"].dtype == np.float32


CONV = {"name": "conv1_1", "type": "conv", "weights": cell(FILTERS, BIASES)}
OLD_CONV = {"name": "conv1_1", "type": "conv", "filters": FILTERS, "biases": BIASES}
RELU = {"name": "relu1_1", "type": "relu"}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("conv", [CONV, OLD_CONV])
@pytest.mark.parametrize("wrapped", [False, True])
def test_simple_nn(tmp_path, conv, wrapped, compressed):
    variables = {"layers": cell(conv, RELU), "meta": {"classes": {"name": cell("cat", "dog")}}}
    variables = {"net": variables} if wrapped else variables
    state = load(save(tmp_path, variables, do_compression=compressed))
    assert_conv(state)
    assert len(state) == 2


def test_filters_whose_last_axes_matlab_dropped(tmp_path):
    one = {"name": "fc", "type": "conv", "weights": cell(FILTERS[:, :, :, 0], BIASES[:, :1])}
    assert load(save(tmp_path, {"layers": cell(one)}))["fc.weight"].shape == (1, 4, 3, 2)


def test_dag_nn(tmp_path):
    names = np.array([("f1", FILTERS), ("b1", BIASES)], dtype=[("name", "O"), ("value", "O")])
    layers = np.array(
        [("conv1_1", "dagnn.Conv", cell("f1", "b1")), ("relu", "dagnn.ReLU", cell())],
        dtype=[("name", "O"), ("type", "O"), ("params", "O")],
    )
    state = load(save(tmp_path, {"net": {"layers": layers, "params": names}}))
    assert_conv(state)
    assert len(state) == 2


def test_batch_norm(tmp_path):
    norm = {"name": "bn", "type": "bnorm", "weights": cell(MOMENTS[0], MOMENTS[1], MOMENTS)}
    state = load(save(tmp_path, {"layers": cell(norm)}))
    found = {name: array.tolist() for name, array in state.items()}
    assert found == {
        "bn.weight": [1, 2], "bn.bias": [3, 4],
        "bn.running_mean": [1, 3], "bn.running_var": [4, 16],
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_plain_variables(tmp_path, dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    path = save(tmp_path, {"w": array, "text": "no numbers", "z": array * 1j, "long": array[0]})
    state = load(path)
    assert sorted(state) == ["long", "w"] and state.origin is None
    assert state["w"].dtype == array.dtype
    np.testing.assert_array_equal(state["w"], array)


def write_73(path, variables):
    """Write as MATLAB 7.3 does: reversed axes, cells as references, classes as attributes."""

    def put(group, name, value):
        if isinstance(value, dict):
            node = group.create_group(name)
            for key, item in value.items():
                put(node, key, item)
            return
        if isinstance(value, str):
            node = group.create_dataset(name, data=np.uint16([[ord(c)] for c in value]))
            node.attrs["MATLAB_class"] = np.bytes_("char")
        elif value.dtype == object:
            node = group.create_dataset(name, value.T.shape, h5py.ref_dtype)
            node.attrs["MATLAB_class"] = np.bytes_("cell")
            for index, item in enumerate(value.ravel()):
                key = f"{name}{index}-{len(references)}"
                put(references, key, item)
                node[index, 0] = references[key].ref
        else:
            node = group.create_dataset(name, data=value.T)
            node.attrs["MATLAB_class"] = np.bytes_("single")

    with h5py.File(path, "w", userblock_size=512) as file:
        references = file.create_group("#refs#")
        for name, value in variables.items():
            put(file, name, value)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def test_version_73(tmp_path):
    write_73(tmp_path / "net.mat", {"net": {"layers": cell(CONV, RELU)}})
    assert_conv(load(tmp_path / "net.mat"))


def test_version_73_references_in_a_loop(tmp_path):
    path = tmp_path / "loop.mat"
    write_73(path, {"layers": cell(CONV, RELU)})
    with h5py.File(path, "r+") as file:
        file["layers"][0, 0] = file["layers"][1, 0] = file["layers"].ref
    with pytest.raises(ValueError, match="loop"):
        load(path)


def header(order=b"IM"):
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01" + order


def element(kind, content):
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(dims, kind=7, content=b""):
    flags = element(6, struct.pack("<II", kind, 0))
    body = flags + element(5, struct.pack(f"<{len(dims)}i", *dims)) + element(1, b"w") + content
    return element(14, body)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(b"??"), "header"),
        (header(), "neither"),
        (header() + matrix((2, 2), content=element(7, bytes(16)))[:-6], "longer than"),
        (header() + matrix((1 << 30, 1 << 30), content=element(7, bytes(16))), "needs"),
        (header() + matrix((-2, 2), content=element(7, bytes(16))), "impossible shape"),
        (header() + matrix((3, 3), content=element(7, bytes(40))), "has 10 values"),
        (header() + matrix((1 << 20, 1 << 10), kind=1), "cell or struct array"),
        (header() + element(15, zlib.compress(bytes(200 << 20), 9)), "implausible size"),
        (header() + element(15, b"not zlib"), "damaged or truncated compressed"),
    ],
    ids=["order", "empty", "truncated", "huge", "negative", "count", "cells", "bomb", "not zlib"],
)
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "bad.mat"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_big_endian(tmp_path):
    def big(kind, content):
        return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)

    body = big(6, struct.pack(">II", 7, 0)) + big(5, struct.pack(">2i", 2, 1)) + big(1, b"w")
    path = tmp_path / "big.mat"
    path.write_bytes(header(b"MI") + big(14, body + big(7, struct.pack(">2f", 1.5, -2))))
    np.testing.assert_array_equal(load(path)["w"], [[1.5], [-2]])


def test_cells_in_cells_end(tmp_path):
    content = element(7, b"")
    for _ in range(100):
        content = matrix((1, 1), kind=1, content=content)
    path = tmp_path / "deep.mat"
    path.write_bytes(header() + content)
    with pytest.raises(ValueError, match="nested"):
        load(path)
