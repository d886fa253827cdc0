"""Net surgery: which filters and taps of VGG-16 a DeepLab starts with."""

from __future__ import annotations

import numpy as np
import pytest
import vgg_states as states

from minideeplab import models
from minideeplab.weights import vgg16_to_deeplab
from minideeplab.weights.surgery import decimate_fc6, decimate_fc7

FILTER = np.broadcast_to(np.arange(4096, dtype=np.float32)[:, None], (4096, 25088))
COLUMN = np.broadcast_to(np.arange(25088, dtype=np.float32), (4096, 25088))
SQUARE = np.arange(4096, dtype=np.float32)[:, None] * 4096 + np.arange(4096, dtype=np.float32)
INDEX = np.arange(4096, dtype=np.float32)


def test_taps_are_the_corners_edges_and_centre():
    c, i, j = np.meshgrid(np.arange(512), (0, 3, 6), (0, 3, 6), indexing="ij")
    np.testing.assert_array_equal(decimate_fc6(COLUMN)[0], c * 49 + i * 7 + j)


@pytest.mark.parametrize("offset", range(4))
def test_filters_are_every_fourth(offset):
    kept = np.arange(offset, 4096, 4)
    assert decimate_fc6(FILTER, offset).shape == (1024, 512, 3, 3)
    np.testing.assert_array_equal(decimate_fc6(FILTER, offset)[:, 5, 1, 2], kept)
    fc7 = decimate_fc7(SQUARE, offset)
    assert fc7.shape == (1024, 1024, 1, 1)
    np.testing.assert_array_equal(fc7[:, :, 0, 0], SQUARE[np.ix_(kept, kept)])


@pytest.mark.parametrize("variant", models.VARIANTS)
def test_the_result_fits_the_network(variant):
    state = vgg16_to_deeplab(states.caffe(fc6=(FILTER, INDEX)), variant, num_classes=5)
    net = models.deeplab(variant, num_classes=5)
    net.load_state_dict(state)
    suffixes = [""] if variant == "largefov" else ["_1", "_2", "_3", "_4"]
    for k, suffix in enumerate(suffixes):
        bias = net.state_dict()[f"fc6{suffix}.bias"]
        np.testing.assert_array_equal(bias, np.arange(k, 4096, 4))
        np.testing.assert_array_equal(state[f"fc6{suffix}.weight"][:, 0, 0, 0], bias)
    np.testing.assert_array_equal(state["conv4_2.weight"], states.caffe()["conv4_2.weight"])


def test_fc8_is_gaussian_and_repeatable():
    first, again, other = (vgg16_to_deeplab(states.caffe(), seed=seed) for seed in (1, 1, 2))
    weight = first["fc8.weight"]
    assert weight.shape == (21, 1024, 1, 1) and weight.dtype == np.float32
    assert abs(weight.std() - 0.01) < 2e-4 and abs(weight.mean()) < 5e-4
    assert not first["fc8.bias"].any()
    np.testing.assert_array_equal(weight, again["fc8.weight"])
    assert not np.array_equal(weight, other["fc8.weight"])


def test_the_input_is_not_touched():
    state = states.caffe(conv1_1=(np.ones((64, 3, 3, 3), "f4"), np.ones(64, "f4")))
    result = vgg16_to_deeplab(state)
    result["conv1_1.weight"] += 1
    assert (state["conv1_1.weight"] == 1).all()


def reduced(suffix=""):
    """The heads of a DeepLab, as in the authors' vgg16_20M."""
    shapes = {"fc6": (1024, 512, 3, 3), "fc7": (1024, 1024, 1, 1)}
    return {
        f"{name}{suffix}.{what}": states.constant(7, shape if what == "weight" else shape[:1])
        for name, shape in shapes.items()
        for what in ("weight", "bias")
    }


def trunk_only():
    return {name: a for name, a in states.caffe().items() if not name.startswith("fc")}


@pytest.mark.parametrize("variant", models.VARIANTS)
def test_a_reduced_vgg_is_used_as_it_is(variant):
    state = vgg16_to_deeplab(trunk_only() | reduced(), variant)
    assert all((state[name] == 7).all() for name in state if name[:3] in ("fc6", "fc7"))


def test_the_authors_scores_are_kept_where_the_classes_agree():
    scores = {"fc8_voc12.weight": states.constant(3, (21, 1024, 1, 1)),
              "fc8_voc12.bias": states.constant(4, (21,))}  # fmt: skip
    released = trunk_only() | reduced() | scores
    assert (vgg16_to_deeplab(released)["fc8.weight"] == 3).all()
    assert not (vgg16_to_deeplab(released, num_classes=11)["fc8.weight"] == 3).any()


def test_a_released_aspp_net_keeps_its_branches():
    released = trunk_only()
    for k in range(1, 5):
        released |= reduced(f"_{k}") | {
            f"fc8_voc12_{k}.weight": states.constant(k, (21, 1024, 1, 1)),
            f"fc8_voc12_{k}.bias": states.constant(k, (21,)),
        }
    state = vgg16_to_deeplab(released, "aspp-l")
    assert [state[f"fc8_{k}.bias"][0] for k in range(1, 5)] == [1, 2, 3, 4]


def test_missing_and_misshapen_heads_are_named():
    with pytest.raises(ValueError, match=r"fc6.weight: missing, expected \(4096, 25088\)"):
        vgg16_to_deeplab(trunk_only())
    wrong = states.caffe(fc6=(states.constant(0, (4096, 9216)), INDEX))  # AlexNet's
    with pytest.raises(ValueError, match=r"fc6.weight: shape \(4096, 9216\), expected"):
        vgg16_to_deeplab(wrong)
    half = {**trunk_only(), "fc6.weight": reduced()["fc6.weight"]}
    with pytest.raises(ValueError, match=r"fc6.bias: missing, expected \(1024,\)"):
        vgg16_to_deeplab(half)


@pytest.mark.parametrize("names", [states.keras_names(), states.torchvision_names()])
@pytest.mark.parametrize("variant", ["largefov", "aspp-s"])
def test_without_the_top_the_head_is_new(names, variant):
    state = vgg16_to_deeplab(states.renamed(trunk_only(), names), variant, num_classes=3)
    models.deeplab(variant, num_classes=3).load_state_dict(state)
    suffixes = [""] if variant == "largefov" else ["_1", "_2", "_3", "_4"]
    assert state.fresh == tuple(f"fc{i}{suffix}" for suffix in suffixes for i in (6, 7, 8))
    fc6 = state[f"fc6{suffixes[-1]}.weight"]
    assert abs(fc6.std() * np.sqrt(512 * 9 / 2) - 1) < 0.01 and abs(fc6.mean()) < 1e-4
    assert not state[f"fc6{suffixes[0]}.bias"].any()


def test_only_the_scores_are_new_with_the_top():
    assert vgg16_to_deeplab(states.caffe()).fresh == ("fc8",)
    assert vgg16_to_deeplab({**trunk_only(), **reduced()}, "aspp-s").fresh == (
        "fc8_1",
        "fc8_2",
        "fc8_3",
        "fc8_4",
    )


def test_a_vgg_of_keras_0_3():
    shuffled = {name: f"layer_{i}" for i, name in enumerate(states.torchvision_names(), 1)}
    state = vgg16_to_deeplab(states.renamed(states.caffe(fc6=(COLUMN, INDEX)), shuffled))
    np.testing.assert_array_equal(state["fc6.weight"][0], decimate_fc6(COLUMN)[0])
    np.testing.assert_array_equal(state["conv4_2.weight"], states.caffe()["conv4_2.weight"])


def test_bad_arguments():
    with pytest.raises(ValueError, match="variant: 'v3', expected one of largefov, aspp-s, aspp-l"):
        vgg16_to_deeplab(states.caffe(), "v3")
    with pytest.raises(ValueError, match="num_classes: 0"):
        vgg16_to_deeplab(states.caffe(), num_classes=0)
