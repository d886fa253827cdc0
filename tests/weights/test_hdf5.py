"""Keras' layouts through three versions, and HDF5 files that are not Keras'."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from minideeplab.weights import load

RNG = np.random.default_rng(1)
KERNEL, BIAS = RNG.normal(size=(3, 2, 4, 5)).astype(np.float32), RNG.normal(size=5).astype("f4")
DENSE = RNG.normal(size=(6, 2)).astype(np.float32)


def write(tmp_path, arrays, attributes=()):
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
        file.attrs.update(attributes)
    return path


@pytest.mark.parametrize(
    ("kernel", "bias"),
    [
        ("block1_conv1/block1_conv1_W_1:0", "block1_conv1/block1_conv1_b_1:0"),  # Keras 1
        ("block1_conv1/block1_conv1/kernel:0", "block1_conv1/block1_conv1/bias:0"),  # Keras 2
        ("model_weights/block1_conv1/vgg16/block1_conv1/kernel:0",
         "model_weights/block1_conv1/vgg16/block1_conv1/bias:0"),  # a whole model
    ],
)  # fmt: skip
def test_names_of_keras_1_and_2(tmp_path, kernel, bias):
    path = write(tmp_path, {kernel: KERNEL, bias: BIAS}, {"layer_names": [b"block1_conv1"]})
    state = load(path)
    assert state.origin == "keras" and set(state) == {"block1_conv1.weight", "block1_conv1.bias"}
    np.testing.assert_array_equal(state["block1_conv1.weight"], KERNEL.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(state["block1_conv1.bias"], BIAS)


def test_dense_depthwise_and_batch_norm(tmp_path):
    four = np.arange(4, dtype=np.float32)
    path = write(
        tmp_path,
        {
            "fc1/fc1/kernel:0": DENSE,
            "dw/dw/depthwise_kernel:0": KERNEL,
            "bn/bn/gamma:0": four, "bn/bn/beta:0": four + 1,
            "bn/bn/moving_mean:0": four + 2, "bn/bn/moving_variance:0": four + 3,
            "optimizer_weights/adam/m": four,
        },
        {"keras_version": "2.2.4"},
    )  # fmt: skip
    state = load(path)
    np.testing.assert_array_equal(state["fc1.weight"], DENSE.T)
    assert state["dw.weight"].shape == (20, 1, 3, 2)  # channel c, multiplier m at c * 5 + m
    np.testing.assert_array_equal(state["dw.weight"][7, 0], KERNEL[:, :, 1, 2])
    norms = [state[f"bn.{what}"][0] for what in ("weight", "bias", "running_mean", "running_var")]
    assert norms == [0, 1, 2, 3]
    assert len(state) == 6


def test_keras_3_counts_layers(tmp_path):
    four = np.arange(4, dtype=np.float32)
    path = write(
        tmp_path,
        {
            "layers/conv2d_1/vars/0": KERNEL, "layers/conv2d_1/vars/1": BIAS,
            **{f"layers/batch_normalization/vars/{i}": four + i for i in range(4)},
            "optimizer/vars/0": four,
        },
    )  # fmt: skip
    state = load(path)
    np.testing.assert_array_equal(state["conv2d_1.weight"], KERNEL.transpose(3, 2, 0, 1))
    assert state["batch_normalization.running_var"][0] == 3
    assert len(state) == 6


def test_keras_before_1_0_and_its_theano_kernels(tmp_path):
    kernel = KERNEL.transpose(3, 2, 0, 1)
    arrays = {"layer_1/param_0": kernel, "layer_1/param_1": BIAS, "layer_10/param_0": DENSE}
    state = load(write(tmp_path, arrays, {"nb_layers": 11}))
    assert state.origin == "keras"
    assert list(state) == ["layer_1.weight", "layer_1.bias", "layer_10.weight"]
    np.testing.assert_array_equal(state["layer_1.weight"], kernel[:, :, ::-1, ::-1])
    np.testing.assert_array_equal(state["layer_10.weight"], DENSE.T)


def test_caffes_snapshots(tmp_path):
    four, two = np.arange(4, dtype=np.float32), np.float32([2])
    arrays = {"data/conv1_1/0": KERNEL, "data/conv1_1/1": BIAS, "data/fc8/0": DENSE}
    norm = {"data/bn/0": four, "data/bn/1": four + 1, "data/bn/2": two}
    state = load(write(tmp_path, arrays | norm))
    assert state.origin == "caffe" and len(state) == 5
    np.testing.assert_array_equal(state["conv1_1.weight"], KERNEL)
    np.testing.assert_array_equal(state["conv1_1.bias"], BIAS)
    np.testing.assert_array_equal(state["fc8.weight"], DENSE)
    np.testing.assert_array_equal(state["bn.running_mean"], four / 2)
    np.testing.assert_array_equal(state["bn.running_var"], (four + 1) / 2)


def test_other_hdf5_files_are_read_as_they_are(tmp_path):
    state = load(write(tmp_path, {"conv1_1/weight": KERNEL, "label": np.bytes_("text")}))
    assert list(state) == ["conv1_1.weight"] and state.origin is None
    np.testing.assert_array_equal(state["conv1_1.weight"], KERNEL)


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="without arrays"):
        load(write(tmp_path, {}))


def test_declared_sizes_beyond_the_file_are_refused(tmp_path):
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("w", (1 << 20, 1 << 20), "f4", chunks=(1, 1 << 10))
    with pytest.raises(ValueError, match="its arrays claim"):
        load(path)


def test_data_in_other_files_are_not_read(tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(16))
    path = tmp_path / "external.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("w", (4,), "f4", external=[(str(secret), 0, 16)])
    with pytest.raises(ValueError, match="another file"):
        load(path)
    with h5py.File(path, "w") as file:
        file["w"] = h5py.ExternalLink(str(secret), "/")
    with pytest.raises(ValueError, match="without arrays"):
        load(path)
