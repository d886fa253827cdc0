"""Caffe's protocol buffers, in every form in which the same blobs were written."""

from __future__ import annotations

import time

import numpy as np
import pytest
from caffe_writer import (
    V1_CONVOLUTION,
    V1_INNER_PRODUCT,
    blob,
    data,
    double,
    layer,
    network,
    number,
    packed,
    unpacked,
    v1_layer,
    varint,
)  # fmt: skip

from minideeplab.weights import load

RNG = np.random.default_rng(0)
CONV, BIAS = RNG.normal(size=(4, 3, 2, 5)).astype(np.float32), np.float32([1, -2, 3, 0.5])
DENSE, DENSE_BIAS = RNG.normal(size=(6, 40)).astype(np.float32), RNG.normal(size=6).astype("f4")


def read(tmp_path, content: bytes):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    return load(path)


def assert_network(state, exactly=True):
    expected = {"conv1.weight": CONV, "conv1.bias": BIAS, "fc.weight": DENSE, "fc.bias": DENSE_BIAS}
    assert list(state) == list(expected)
    for name, array in expected.items():
        assert state[name].shape == array.shape, name
        np.testing.assert_array_equal(state[name], array)


@pytest.mark.parametrize("dims", ["packed", "unpacked", "legacy"])
@pytest.mark.parametrize("values", [packed, unpacked, double])
@pytest.mark.parametrize("version", [1, 2])
def test_layers_floats_and_shapes(tmp_path, version, values, dims):
    rows = [("conv1", "Convolution", V1_CONVOLUTION, CONV, BIAS),
            ("fc", "InnerProduct", V1_INNER_PRODUCT, DENSE, DENSE_BIAS)]  # fmt: skip
    layers = []
    for name, kind, v1_kind, weight, bias in rows:
        blobs = blob(weight, values, dims), blob(bias, values, dims)
        layers.append(
            layer(name, kind, *blobs) if version == 2 else v1_layer(name, v1_kind, *blobs)
        )
    state = read(tmp_path, network(*layers))
    assert_network(state)
    assert state.origin == "caffe"
    assert state["fc.bias"].dtype == (np.float64 if values is double else np.float32)


def test_floats_packed_in_pieces(tmp_path):
    pieces = packed(CONV.ravel()[:7]) + unpacked(CONV.ravel()[7:20]) + packed(CONV.ravel()[20:])
    shape = data(7, data(1, bytes(CONV.shape)))
    state = read(tmp_path, network(layer("conv1", "Convolution", shape + pieces)))
    np.testing.assert_array_equal(state["conv1.weight"], CONV)


def test_long_runs_of_unpacked_floats(tmp_path):
    values = RNG.normal(size=20_000).astype(np.float32)
    state = read(tmp_path, network(layer("ip", "InnerProduct", blob(values, unpacked))))
    np.testing.assert_array_equal(state["ip.weight"], values)


def test_unknown_fields_and_layers_without_blobs_are_passed_over(tmp_path):
    extra = number(9, 1) + varint(10 << 3 | 1) + bytes(8) + varint(11 << 3 | 5) + bytes(4)
    blobs = blob(CONV) + data(6, b"\0\0\0\0"), blob(BIAS)  # with a diff
    content = network(layer("data", "Input"), layer("conv1", "Convolution", *blobs)) + extra
    assert list(read(tmp_path, content)) == ["conv1.weight", "conv1.bias"]


def test_batch_norm_is_divided_by_its_factor(tmp_path):
    mean, var, factor = np.float32([2, 4]), np.float32([6, 8]), np.float32([2])
    bn = layer("bn", "BatchNorm", blob(mean), blob(var), blob(factor))
    scale = layer("scale", "Scale", blob(np.float32([5, 6])), blob(np.float32([7, 8])))
    state = read(tmp_path, network(bn, scale))
    assert {name: array.tolist() for name, array in state.items()} == {
        "bn.running_mean": [1, 2], "bn.running_var": [3, 4],
        "scale.weight": [5, 6], "scale.bias": [7, 8],
    }  # fmt: skip


def test_batch_norm_without_data_is_zero(tmp_path):
    zero = np.float32([0])
    state = read(tmp_path, network(layer("bn", "BatchNorm", *(blob(a) for a in (zero,) * 3))))
    assert state["bn.running_var"].tolist() == [0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (network(), "without weights"),
        (network(layer("relu", "ReLU")), "without weights"),
        (network(layer("c", "Convolution", blob(CONV)))[:-9], "truncated or damaged"),
        (network(layer("c", "Convolution", packed(CONV) + number(1, 1 << 40))), "layer c: blob 0"),
        (network(layer("c", "Convolution", data(5, b"123"))), "whole number of floats"),
        (network(layer("c", "Convolution", data(7, data(1, b"\x03")) + packed(BIAS))), "4 values"),
        (network() + b"\xa3\x06", "wire type 3"),
        (network() + b"\x08" + b"\xff" * 10, "more than 64 bits"),
        (network() + data(100, data(7, varint(5 << 3 | 5))), "ends within a number"),
    ],
)  # fmt: skip
def test_bad_networks(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, content)


def test_files_that_would_keep_the_reader_busy(tmp_path):
    alternating = (unpacked(np.float32([1])) + number(1, 1)) * 300_000
    start = time.process_time()
    with pytest.raises(ValueError, match="implausible"):
        read(tmp_path, network(layer("c", "Convolution", alternating)))
    assert time.process_time() - start < 3


def test_against_googles_protobuf(tmp_path):
    pytest.importorskip("google.protobuf")
    from make_data import caffe_messages

    message = caffe_messages()(name="net")
    added = message.layer.add(name="conv1", type="Convolution")
    for array in (CONV, BIAS):
        added.blobs.add(data=array.ravel()).shape.dim.extend(array.shape)
    ours = network(layer("conv1", "Convolution", blob(CONV), blob(BIAS)))
    assert message.SerializeToString() == ours  # the test's writer is right too
    np.testing.assert_array_equal(read(tmp_path, ours)["conv1.weight"], CONV)
