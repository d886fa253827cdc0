"""Every reader reads a file that the framework itself wrote (``make_data.py``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from expected import NETWORK

from minideeplab.weights import load

DATA = Path(__file__).with_name("data")
KERAS_3 = {"conv2d": "conv1_1", "dense": "fc6"}  # Keras 3 counts layers by kind
FILES = [
    ("zip.pth", None), ("legacy.pth", None), ("views.pth", None), ("views-legacy.pth", None),
    ("v1.caffemodel", "caffe"), ("v2.caffemodel", "caffe"),
    ("keras-legacy.h5", "keras"), ("keras3.weights.h5", "keras"), ("keras3.keras", "keras"),
    ("simplenn.mat", "matconvnet"), ("small.npz", None), ("small.safetensors", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "origin"), FILES)
def test_reads_what_the_framework_wrote(name, origin):
    state = load(DATA / name)
    assert state.origin == origin
    for key, array in state.items():
        layer, _, what = key.partition(".")
        expected = NETWORK[f"{KERAS_3.get(layer, layer)}.{what}"]
        assert array.size == expected.size
        np.testing.assert_array_equal(array.reshape(expected.shape), expected)
        assert array.flags.writeable
    assert len(state) == len(NETWORK)


def test_every_data_file_is_tested():
    assert {path.name for path in DATA.iterdir()} == {name for name, _ in FILES}


def test_dense_layers_are_matrices_and_matconvnet_filters_convolutions():
    assert load(DATA / "v1.caffemodel")["fc6.weight"].shape == (5, 16)
    assert load(DATA / "keras-legacy.h5")["fc6.weight"].shape == (5, 16)
    assert load(DATA / "simplenn.mat")["fc6.weight"].shape == (5, 16, 1, 1)


def test_half_stays_half_and_bfloat16_becomes_float32():
    state = load(DATA / "views.pth")
    assert state["conv1_1.weight"].dtype == np.float16
    assert state["conv1_1.bias"].dtype == np.float32


@pytest.mark.parametrize("name", ["zip.pth", "v1.caffemodel", "keras-legacy.h5", "simplenn.mat"])
def test_the_format_is_found_by_content(name, tmp_path):
    copy = tmp_path / "weights.dat"
    copy.write_bytes((DATA / name).read_bytes())
    assert len(load(copy)) == len(NETWORK)
