"""The networks: layer tables, sizes, parameter counts, initial weights, weight files."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import models, no_grad


def count(net):
    return sum(parameter.size for parameter in net.parameters())


@pytest.mark.parametrize("variant, expected", [
    ("largefov", 20_505_429), ("aspp-s", 37_877_652), ("aspp-l", 37_877_652),
])  # fmt: skip
def test_parameter_counts_are_the_papers(variant, expected):
    assert count(models.deeplab(variant)) == expected


def test_vgg16_has_its_138_million_parameters():
    net = models.vgg16()
    assert count(net) == 138_357_544
    assert net.state_dict()["fc6.weight"].shape == (4096, 25088)


def test_names_are_caffes():
    convs = [
        f"conv{b}_{i}" for b, n in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)) for i in range(1, n + 1)
    ]
    heads = {
        "largefov": ["fc6", "fc7", "fc8"],
        "aspp-l": [f"fc{layer}_{branch}" for branch in range(1, 5) for layer in (6, 7, 8)],
    }
    for variant, layers in heads.items():
        expected = [f"{layer}.{kind}" for layer in convs + layers for kind in ("weight", "bias")]
        assert list(models.deeplab(variant).state_dict()) == expected


@pytest.mark.parametrize("variant, rates, pool5a", [
    ("largefov", [12], True), ("aspp-s", [2, 4, 8, 12], False), ("aspp-l", [6, 12, 18, 24], False),
])  # fmt: skip
def test_layers_are_the_authors_table(variant, rates, pool5a):
    net = models.deeplab(variant)
    fc6 = [layer for name, layer in net.named_children() if name.startswith("fc6")]
    assert [(layer.dilation, layer.padding) for layer in fc6] == [(r, r) for r in rates]
    assert net.conv5_1.dilation == net.conv5_3.padding == 2 and net.conv4_3.dilation == 1
    pools = [layer for name, layer in net.named_children() if name.startswith("pool")]
    assert [pool.stride for pool in pools] == [2, 2, 2, 1, 1] + [1] * pool5a
    assert all(pool.kernel_size == 3 and pool.padding == 1 for pool in pools)
    drops = [layer.p for name, layer in net.named_children() if name.startswith("drop")]
    assert drops == [0.5] * 2 * len(rates)


@pytest.fixture(scope="module")
def narrow():
    """The LargeFOV net with a sixteenth of the channels."""
    return models.DeepLab("largefov", num_classes=5, width=1 / 16).eval()


@pytest.mark.parametrize("size, scores", [((41, 57), (6, 8)), ((8, 8), (2, 2)), ((36, 50), (6, 8))])
def test_scores_come_at_stride_8_with_caffes_rounding_up(narrow, size, scores):
    x = np.random.default_rng(0).standard_normal((2, 3, *size)).astype(np.float32)
    with no_grad():
        assert narrow(x).shape == (2, 5, *scores)


def test_small_net_scores_at_stride_4():
    net = models.deeplab_small(num_classes=7).eval()
    x = np.zeros((1, 3, 41, 57), np.float32)
    with no_grad():
        assert net(x).shape == (1, 7, 11, 15)
    assert 1_500_000 < count(net) < 2_500_000


@pytest.mark.parametrize("build", [
    lambda classes: models.DeepLab("largefov", classes, width=1 / 16),
    lambda classes: models.DeepLab("aspp-l", classes, width=1 / 16),
    lambda classes: models.DeepLabResNet("aspp-l", classes, width=1 / 16),
    models.deeplab_small,
])  # fmt: skip
def test_weights_of_other_classes_load_but_for_the_scores(build):
    net, state = build(3), build(5).state_dict()
    own = {name: array.copy() for name, array in net.state_dict().items()}
    with pytest.warns(UserWarning, match=r"shape \(5.*in the weights, \(3.*in the network"):
        net.load_state_dict(state, strict=False)
    for name, array in net.state_dict().items():
        same = array.shape == state[name].shape
        np.testing.assert_array_equal(array, state[name] if same else own[name])


def test_seed_decides_the_initial_weights():
    one, same, other = (models.deeplab_small(seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["score.weight"], other["score.weight"])


def test_initial_weights_keep_the_signals_size():
    net = models.deeplab("largefov", seed=3)
    assert net.conv3_2.weight.data.std() == pytest.approx(np.sqrt(2 / (256 * 9)), rel=0.02)
    assert net.fc8.weight.data.std() == pytest.approx(0.01, rel=0.02)
    assert not net.fc8.bias.data.any() and not net.conv1_1.bias.data.any()


@pytest.mark.parametrize("build, word", [
    (lambda: models.deeplab("v3"), "variant"),
    (lambda: models.deeplab(backbone="resnet50"), "backbone"),
    (lambda: models.deeplab(num_classes=0), "num_classes"),
    (lambda: models.deeplab_small(0), "num_classes"),
    (lambda: models.build("tiny", 3), "model"),
])  # fmt: skip
def test_bad_arguments_are_named(build, word):
    with pytest.raises(ValueError, match=word):
        build()


def test_preprocessing_orders_shifts_and_scales():
    image = np.zeros((2, 4, 3), np.uint8)
    image[..., 0], image[..., 2] = 200, 10  # much red, little blue
    x = models.CAFFE(image)
    assert x.shape == (3, 2, 4) and x.dtype == np.float32
    np.testing.assert_allclose(x[:, 0, 0], [10 - 104.008, -116.669, 200 - 122.675], rtol=1e-6)
    y = models.IMAGENET(image)
    np.testing.assert_allclose(y[0], (200 - 123.675) / 58.395, rtol=1e-6)
    assert models.CAFFE.fill == (122.675, 116.669, 104.008)


@pytest.mark.parametrize("image", [
    np.zeros((2, 4, 3), np.float32), np.zeros((2, 4), np.uint8), np.zeros((2, 4, 4), np.uint8),
])  # fmt: skip
def test_preprocessing_refuses_other_arrays(image):
    with pytest.raises(ValueError, match="image"):
        models.IMAGENET(image)


def test_weight_file_gives_the_network_back(tmp_path):
    net = models.deeplab_small(num_classes=3, seed=5)
    meta = {
        "model": "small",
        "num_classes": 3,
        "classes": ["sky", "road", "car"],
        "preprocessing": {"channel_order": "bgr", "mean": [1, 2, 3], "std": [1, 1, 2]},
    }
    models.save_weights(tmp_path / "w.npz", net.state_dict(), meta)
    again = models.from_checkpoint(tmp_path / "w.npz")
    assert again.meta["classes"] == ["sky", "road", "car"] and not again.training
    assert again.preprocessing == models.Preprocessing("bgr", (1, 2, 3), (1, 1, 2))
    for name, array in net.state_dict().items():
        loaded = again.state_dict()[name]
        assert loaded.dtype == np.float32
        np.testing.assert_allclose(loaded, array, rtol=1e-3, atol=1e-7)
    assert [p.name for p in tmp_path.iterdir()] == ["w.npz"]


def test_weights_beyond_half_precision_are_refused(tmp_path):
    with pytest.raises(ValueError, match="conv"):
        models.save_weights(tmp_path / "w.npz", {"conv": np.full(2, 1e6)}, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 torn"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"w\.npz"):
        models.from_checkpoint(tmp_path / "w.npz")


def test_npz_without_description_is_refused(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="__meta__"):
        models.from_checkpoint(tmp_path / "w.npz")
