"""ResNet-101's weights under Caffe's and torchvision's names."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import functional as F
from minideeplab import models, weights
from minideeplab.training.initial import load_initial
from minideeplab.weights.resnet import resnet101_state, trunk_names
from tests.weights.caffe_writer import blob, layer, network

STAGE_BLOCKS = {1: 3, 2: 4, 3: 23, 4: 3}


@pytest.fixture(scope="module")
def narrow():
    """A net with an eighth of the filters whose arrays are all different."""
    net = models.DeepLabResNet(num_classes=4, width=1 / 8, seed=1)
    rng = np.random.default_rng(2)
    for name, array in net.named_buffers():
        array[...] = rng.uniform(0.5, 1.5, array.shape) * (0.2 if name.endswith("mean") else 1)
    return net


def caffemodel(net, factor=3.0):
    """The net's weights as the authors' file holds them: BatchNorm, Scale, fc1_voc12_c0."""
    state, layers = net.state_dict(), []
    for name in [name.removesuffix(".weight") for name in state if name.endswith(".weight")]:
        arrays = [state[f"{name}.{k}"] for k in ("weight", "bias") if f"{name}.{k}" in state]
        if name.startswith("bn"):
            scale = name.replace("bn", "scale", 1)
            layers.append(layer(scale, "Scale", *map(blob, arrays)))
            arrays = [state[f"{name}.running_{k}"] * np.float32(factor) for k in ("mean", "var")]
            layers.append(layer(name, "BatchNorm", *map(blob, [*arrays, np.array([factor])])))
        else:
            name = name.replace("fc1_", "fc1_voc12_")
            layers.append(layer(name, "Convolution", *map(blob, arrays)))
    return network(*layers)


def test_the_authors_caffemodel_gives_the_network(narrow, tmp_path):
    (tmp_path / "train_iter_20000.caffemodel").write_bytes(caffemodel(narrow))
    state = resnet101_state(weights.load(tmp_path / "train_iter_20000.caffemodel"))
    own = narrow.state_dict()
    assert set(state) == set(own)
    for name, array in own.items():
        np.testing.assert_allclose(state[name], array, rtol=1e-6, err_msg=name)


def test_training_starts_from_a_caffemodel(narrow, tmp_path):
    (tmp_path / "w.caffemodel").write_bytes(caffemodel(narrow))
    net = models.DeepLabResNet(num_classes=7, width=1 / 8, seed=3)
    text = load_initial(net, tmp_path / "w.caffemodel")
    assert "520 of 528" in text and "fc1_c0.weight" in text
    np.testing.assert_array_equal(net.bn4b22_branch2c.weight, narrow.bn4b22_branch2c.weight)
    np.testing.assert_array_equal(net.conv1.weight.data, narrow.conv1.weight.data)


def torchvision_state(prefix=""):
    """All of torchvision's names; every array another number."""
    convs = [("conv1", "bn1")]
    for stage, count in STAGE_BLOCKS.items():
        for block in range(count):
            at = f"layer{stage}.{block}"
            convs += [(f"{at}.conv{i}", f"{at}.bn{i}") for i in (1, 2, 3)]
            convs += [] if block else [(f"{at}.downsample.0", f"{at}.downsample.1")]
    keys = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = [n for conv, bn in convs for n in (f"{conv}.weight", *(f"{bn}.{k}" for k in keys))]
    state = {name: np.float32([i]) for i, name in enumerate([*names, "fc.weight", "fc.bias"])}
    rng = np.random.default_rng(5)
    state["conv1.weight"] = rng.standard_normal((8, 3, 7, 7)).astype(np.float32)
    state["bn1.running_mean"] = rng.standard_normal(8).astype(np.float32)
    return {prefix + name: array for name, array in state.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
def test_torchvisions_blocks_get_caffes_names(prefix):
    source = torchvision_state(prefix)
    state = resnet101_state(source)
    assert list(state) == trunk_names() and len(state) == 520
    for theirs, ours in {
        "layer1.0.conv1.weight": "res2a_branch2a.weight",
        "layer2.0.downsample.0.weight": "res3a_branch1.weight",
        "layer2.0.downsample.1.running_mean": "bn3a_branch1.running_mean",
        "layer3.22.conv2.weight": "res4b22_branch2b.weight",
        "layer3.1.bn3.running_var": "bn4b1_branch2c.running_var",
        "layer4.2.bn1.bias": "bn5c_branch2a.bias",
        "bn1.weight": "bn_conv1.weight",
    }.items():
        assert state[ours] == source[prefix + theirs], ours


def test_torchvisions_first_layer_accepts_caffes_input():
    source = torchvision_state()
    state = resnet101_state(source)
    image = np.random.default_rng(6).integers(0, 256, (31, 31, 3), dtype=np.uint8)
    mean, var = source["bn1.running_mean"], np.ones(8, np.float32)
    x = F.conv2d(models.IMAGENET(image)[None], source["conv1.weight"])
    expected = F.batch_norm(x, mean, var)
    x = F.conv2d(models.CAFFE(image)[None], state["conv1.weight"])
    found = F.batch_norm(x, state["bn_conv1.running_mean"], var)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_other_weights_are_refused_by_name():
    state = torchvision_state()
    del state["layer3.7.bn2.bias"]
    with pytest.raises(ValueError, match=r"1 missing, bn4b7_branch2b\.bias"):
        resnet101_state(state)
    with pytest.raises(ValueError, match=r"520 missing, conv1\.weight"):
        resnet101_state({"conv1_1.weight": np.zeros((64, 3, 3, 3))})
