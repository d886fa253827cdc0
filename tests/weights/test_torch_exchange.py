"""Weights go to plain torch modules in a .safetensors file, strictly, and come back."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import models, no_grad, pretrained
from minideeplab.cli import run
from minideeplab.weights import load

torch = pytest.importorskip("torch")
import torch_networks  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402


def scores_of(net, x):
    with no_grad():
        return np.asarray(net.eval()(x))


def assert_torch_agrees(theirs, net):
    x = np.random.default_rng(0).normal(0, 2, (1, 3, 41, 57)).astype(np.float32)
    with torch.no_grad():
        got = theirs.eval()(torch.from_numpy(x)).numpy()
    expected = scores_of(net, x)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_bundled_weights_run_in_a_plain_torch_module(tmp_path):
    path = tmp_path / "camvid.safetensors"
    assert run(["convert", "camvid", str(path)]) == 0
    theirs = torch_networks.DeepLabSmall(num_classes=11)
    theirs.load_state_dict(load_file(path))  # strict
    assert_torch_agrees(theirs, models.from_checkpoint(pretrained.find("camvid")))


def test_largefov_runs_in_a_plain_torch_module(tmp_path):
    net = models.DeepLab("largefov", 4, width=1 / 8)
    models.save_weights(tmp_path / "a.npz", net.state_dict(), {}, np.float32)
    assert run(["convert", str(tmp_path / "a.npz"), str(tmp_path / "a.safetensors")]) == 0
    theirs = torch_networks.LargeFOV(4, width=1 / 8)
    theirs.load_state_dict(load_file(tmp_path / "a.safetensors"))
    assert_torch_agrees(theirs, net)


def test_torch_weights_come_back(tmp_path):
    theirs = torch_networks.DeepLabSmall(num_classes=4)
    theirs.train()(torch.randn(2, 3, 33, 33))  # running statistics that differ from 0 and 1
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    net = models.deeplab_small(4)
    net.load_state_dict(load(tmp_path / "theirs.safetensors"))  # strict
    assert_torch_agrees(theirs, net)


@pytest.mark.parametrize("half", [False, True])
def test_safetensors_hold_the_network_as_the_npz_does(tmp_path, half):
    path = tmp_path / "net.safetensors"
    assert run(["convert", "camvid", str(path), *(["--half"] if half else [])]) == 0
    net, original = models.from_checkpoint(path), models.from_checkpoint(pretrained.find("camvid"))
    assert net.meta == original.meta and net.preprocessing == original.preprocessing
    for name, array in original.state_dict().items():
        np.testing.assert_array_equal(net.state_dict()[name], array)


def test_a_file_without_description_or_damaged_is_one_error(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"w": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"net\.safetensors: its description has no 'model'"):
        models.from_checkpoint(path)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ValueError, match=r"net\.safetensors: not a readable \.safetensors file"):
        models.from_checkpoint(path)
