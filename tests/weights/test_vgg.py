"""One VGG-16, whichever framework it comes from: names, layouts and above all its input."""

from __future__ import annotations

import numpy as np
import pytest
import vgg_states as states

from minideeplab import functional as F
from minideeplab.models.preprocessing import CAFFE, IMAGENET, Preprocessing
from minideeplab.weights import StateDict, canonical, vgg16_state
from minideeplab.weights.vgg import trunk_shapes

RNG = np.random.default_rng(3)
WEIGHT = RNG.normal(size=(64, 3, 3, 3)).astype(np.float32)
BIAS = RNG.normal(size=64).astype(np.float32)
IMAGE = RNG.integers(0, 256, (9, 8, 3), dtype=np.uint8)
NAMINGS = {
    "caffe": {layer: layer for layer in states.torchvision_names()},
    "torchvision": states.torchvision_names(),
    "keras": states.keras_names(),
    "keras 3": states.keras_3_names(),
}


def state_of(framework, **layers):
    return states.renamed(states.caffe(**layers), NAMINGS[framework])


def first_layer(state, preprocessing):
    """The first layer's output on ``IMAGE``: (64, 9, 8), float64."""
    x = preprocessing(IMAGE).astype(np.float64)
    weight, bias = (state[f"conv1_1.{what}"].astype(np.float64) for what in ("weight", "bias"))
    return F.conv2d(x, weight, bias, padding=1)


@pytest.mark.parametrize("framework", NAMINGS)
def test_names(framework):
    found = canonical(state_of(framework), source="caffe")
    assert set(found) == set(states.caffe())
    for name, array in states.caffe().items():
        assert found[name].shape == array.shape and found[name].dtype == np.float32
        assert found[name].flat[0] == array.flat[0], name


INPUTS = {
    "torchvision": (IMAGENET, "torchvision"),
    "keras": (CAFFE, "keras"),
    "matconvnet": (Preprocessing("rgb", mean=CAFFE.mean[::-1]), "caffe"),
    "caffe": (CAFFE, "caffe"),
}


@pytest.mark.parametrize("source", INPUTS)
def test_the_first_layer_sees_the_same_image(source):
    own_input, names = INPUTS[source]
    state = state_of(names, conv1_1=(WEIGHT, BIAS))
    original = {"conv1_1.weight": WEIGHT, "conv1_1.bias": BIAS}
    expected = first_layer(original, own_input)
    found = first_layer(canonical(StateDict(state, origin=source)), CAFFE)
    inside = np.s_[:, 1:-1, 1:-1]
    np.testing.assert_allclose(found[inside], expected[inside], atol=2e-4 * np.abs(expected).max())
    # On the border the padding stands for colours that are at most one grey level apart.
    one_level = np.abs(WEIGHT).sum(axis=(1, 2, 3)).max() / min(own_input.std)
    assert np.abs(found - expected).max() <= one_level + 1e-3


def test_a_wrong_source_is_seen_by_that_test():
    state = state_of("torchvision", conv1_1=(WEIGHT, BIAS))
    original = {"conv1_1.weight": WEIGHT, "conv1_1.bias": BIAS}
    wrong = first_layer(canonical(state, source="caffe"), CAFFE)
    assert np.abs(wrong - first_layer(original, IMAGENET)).max() > 10


def test_the_names_tell_the_source_where_nothing_else_does():
    state = state_of("torchvision", conv1_1=(WEIGHT, BIAS))
    guessed = canonical(dict(state))
    np.testing.assert_array_equal(
        guessed["conv1_1.weight"], canonical(state, "torchvision")["conv1_1.weight"]
    )
    assert np.array_equal(canonical(state_of("keras", conv1_1=(WEIGHT, BIAS)))["conv1_1.weight"],
                          WEIGHT)  # fmt: skip


def test_kerass_flattening_of_fc6():
    x = RNG.normal(size=(512, 7, 7)).astype(np.float32)
    kernel = RNG.normal(size=(7 * 7 * 512, 3)).astype(np.float32)
    expected = x.transpose(1, 2, 0).ravel() @ kernel  # Flatten on (H, W, C), then Dense
    found = canonical(state_of("keras", fc6=(kernel.T, np.zeros(3, np.float32))))
    np.testing.assert_allclose(found["fc6.weight"] @ x.ravel(), expected, rtol=1e-3, atol=1e-2)


def test_batch_normalisation_is_folded():
    names = states.torchvision_names(states.TORCHVISION_BN_CONVOLUTIONS)
    state = states.renamed(states.caffe(conv1_1=(WEIGHT, BIAS)), names)
    gamma, beta, mean, var = (RNG.uniform(0.5, 2, 64).astype(np.float32) for _ in range(4))
    for n in states.TORCHVISION_BN_CONVOLUTIONS:
        channels = len(state[f"features.{n}.bias"])
        for what in ("weight", "bias", "running_mean", "running_var"):
            state[f"features.{n + 1}.{what}"] = states.constant(1, (channels,))
    for what, array in (("weight", gamma), ("bias", beta), ("running_mean", mean),
                        ("running_var", var)):  # fmt: skip
        state[f"features.1.{what}"] = array
    found = canonical(state, source="caffe")
    x = RNG.normal(size=(1, 3, 6, 5))
    y = F.conv2d(x, WEIGHT.astype(float), BIAS.astype(float), padding=1)
    y = F.batch_norm(y, *(a.astype(float) for a in (mean, var, gamma, beta)), eps=1e-5)
    weight, bias = found["conv1_1.weight"].astype(float), found["conv1_1.bias"].astype(float)
    np.testing.assert_allclose(F.conv2d(x, weight, bias, padding=1), y, atol=1e-4)


def test_a_prefix_before_torchvisions_names():
    state = {f"backbone.{name}": array for name, array in state_of("torchvision").items()}
    assert set(canonical(state)) == set(states.caffe())


def test_half_precision_becomes_single():
    state = {name: array.astype(np.float16) for name, array in states.caffe().items()
             if not name.startswith("fc")}  # fmt: skip
    assert {array.dtype for array in canonical(state).values()} == {np.dtype(np.float32)}


def test_every_layer_that_does_not_fit_is_named():
    state = states.caffe()
    del state["conv3_2.bias"]
    state["conv5_1.weight"] = states.constant(0, (512, 512, 5, 5))
    with pytest.raises(ValueError) as caught:
        canonical(state)
    lines = str(caught.value).splitlines()[1:]
    assert [line.strip() for line in lines] == [
        "conv3_2.bias: missing, expected (256,)",
        "conv5_1.weight: shape (512, 512, 5, 5), expected (512, 512, 3, 3)",
    ]


@pytest.mark.parametrize("n", [12, 14])
def test_another_vgg_is_refused(n):
    """VGG-13 and VGG-19 have the same names in torchvision, but other layers."""
    convolutions = {f"features.{2 * i}.weight": states.constant(0, shape) for i, shape in
                    enumerate([(64, 3, 3, 3), *[(64, 64, 3, 3)] * (n - 1)])}  # fmt: skip
    with pytest.raises(ValueError, match="do not fit VGG-16"):
        canonical(convolutions)


def test_something_else_is_refused():
    with pytest.raises(ValueError, match=r"not recognised as VGG-16.*layer1\.0\.weight"):
        canonical({"layer1.0.weight": np.zeros(3)})
    with pytest.raises(ValueError, match="source: 'theano', expected one of caffe"):
        canonical(states.caffe(), source="theano")


def test_vgg16_state_has_exactly_the_networks_arrays():
    found = vgg16_state(states.caffe() | {"mean_image": np.zeros(3)})
    assert list(found) == list(trunk_shapes()) + [
        f"fc{n}.{what}" for n in (6, 7, 8) for what in ("weight", "bias")
    ]
    with pytest.raises(ValueError, match=r"fc8.weight: .*, expected \(10, 4096\)"):
        vgg16_state(states.caffe(), num_classes=10)


def test_fully_convolutional_heads_are_flattened():
    shape = {"fc6": (4096, 512, 7, 7), "fc7": (4096, 4096, 1, 1), "fc8": (1000, 4096, 1, 1)}
    heads = {name: (states.constant(1, s), states.constant(0, s[:1])) for name, s in shape.items()}
    assert vgg16_state(states.caffe(**heads))["fc6.weight"].shape == (4096, 25088)


def ssd_names(prefix=""):
    """PyTorch's SSD and its initial weights, vgg16_reducedfc.pth."""
    names = {
        old: prefix + new.removeprefix("features.") for old, new in NAMINGS["torchvision"].items()
    }
    return names | {"fc6": f"{prefix}31", "fc7": f"{prefix}33"}


def reduced_state(**layers):
    state = {k: v for k, v in states.caffe(**layers).items() if not k.startswith("fc")}
    for name, shape in {"fc6": (1024, 512, 3, 3), "fc7": (1024, 1024, 1, 1)}.items():
        state[f"{name}.weight"] = states.constant(0.5, shape)
        state[f"{name}.bias"] = states.constant(0.25, shape[:1])
    return state


@pytest.mark.parametrize("prefix", ["", "vgg."])
def test_pytorchs_ssd_numbers_caffes_layers(prefix):
    state = reduced_state(conv1_1=(WEIGHT, BIAS))
    found = canonical(states.renamed(state, ssd_names(prefix)))
    assert set(found) == set(state)
    for name, array in state.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def authors_weight():
    """A first layer of Caffe's VGG-16 in size and first numbers, the others random."""
    weight = 0.2 * WEIGHT
    weight[0, :, 0, 0] = 0.42947, 0.55038, 0.48002
    return weight


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (authors_weight(), authors_weight()),
        (authors_weight()[:, ::-1], authors_weight()),  # turned to RGB
        (WEIGHT / 230, WEIGHT / 230),  # for inputs of unit variance, divided by their deviation
        (WEIGHT / 4, None),
    ],
)
def test_caffes_weights_under_torchvisions_names(weight, expected):
    weight = np.ascontiguousarray(weight)
    found = canonical(state_of("torchvision", conv1_1=(weight, BIAS)))
    if expected is None:
        expected = canonical(state_of("torchvision", conv1_1=(weight, BIAS)), "torchvision")
        expected = expected["conv1_1.weight"]
        assert not np.allclose(expected, weight, atol=0.01)
    np.testing.assert_array_equal(found["conv1_1.weight"], expected)
