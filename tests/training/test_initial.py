"""Starting from weights made for something else."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import pretrained, weights
from minideeplab.models import DeepLab, deeplab_small, save_weights
from minideeplab.training.initial import load_initial


def test_everything_but_a_classifier_of_other_classes_is_loaded(tmp_path):
    source, net = deeplab_small(4, seed=1), deeplab_small(6, seed=2)
    fresh = net.score.weight.data.copy()
    save_weights(tmp_path / "w.npz", source.state_dict(), {}, dtype=np.float32)
    text = load_initial(net, tmp_path / "w.npz")
    assert "score.weight, score.bias" in text
    for name, array in net.state_dict().items():
        if not name.startswith("score."):
            np.testing.assert_array_equal(array, source.state_dict()[name], err_msg=name)
    np.testing.assert_array_equal(net.score.weight.data, fresh)


def test_a_narrow_vgg_net_goes_into_one_of_its_size(tmp_path):
    source, net = (DeepLab("aspp-s", 3, seed=seed, width=1 / 16) for seed in (1, 2))
    save_weights(tmp_path / "w.npz", source.state_dict(), {}, dtype=np.float32)
    text = load_initial(net, tmp_path / "w.npz")
    assert "afresh" not in text
    np.testing.assert_array_equal(net.fc8_4.weight.data, source.fc8_4.weight.data)


def test_bundled_weights_are_known_by_name():
    net = deeplab_small(3)
    assert "afresh: score.weight, score.bias" in load_initial(net, "shapes")
    bundled = weights.load(pretrained.find("shapes"))
    np.testing.assert_array_equal(net.state_dict()["fine.0.bn.bias"], bundled["fine.0.bn.bias"])
    with pytest.raises(FileNotFoundError, match="camvid, shapes, vgg16"):
        load_initial(net, "nowhere")


def test_weights_of_another_network_are_refused(tmp_path):
    save_weights(tmp_path / "w.npz", {"other.weight": np.zeros((2, 2))}, {})
    with pytest.raises(ValueError, match=r"w\.npz"):
        load_initial(deeplab_small(3), tmp_path / "w.npz")
