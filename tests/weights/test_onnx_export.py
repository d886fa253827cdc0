"""Exported networks give the scores and labels of ours in onnxruntime."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from minideeplab import inference, io, models, nn, no_grad, pretrained
from minideeplab.cli import run

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from minideeplab.weights.onnx_export import export_onnx, to_onnx  # noqa: E402

NETWORKS = {
    "small": lambda: models.deeplab_small(5),
    "largefov": lambda: models.DeepLab("largefov", 5, width=1 / 8),
    "aspp-s": lambda: models.DeepLab("aspp-s", 5, width=1 / 8),
    "aspp-l": lambda: models.DeepLab("aspp-l", 5, width=1 / 8),
    "resnet101-largefov": lambda: models.DeepLabResNet("largefov", 5, width=1 / 8),
    "resnet101-aspp-l": lambda: models.DeepLabResNet("aspp-l", 5, width=1 / 8),
}
RNG = np.random.default_rng(0)


def network(name):
    """A network whose batch norms have statistics, gains and offsets that matter."""
    net = NETWORKS[name]().eval()
    for key, array in net.state_dict().items():
        if array.ndim == 1:
            array += RNG.uniform(0, 0.2, array.shape) * (1 if "var" in key else array.max() or 1)
    return net


def session(content):
    if not isinstance(content, str):
        content = content.SerializeToString()
    return ort.InferenceSession(content, providers=["CPUExecutionProvider"])


def scores_of(net, x):
    with no_grad():
        return np.asarray(net(x))


@pytest.mark.parametrize("name", NETWORKS)
def test_scores_agree_at_any_size(name):
    net = network(name)
    exported = session(to_onnx(net))
    for shape in ((1, 3, 65, 49), (2, 3, 33, 58), (1, 3, 40, 31)):
        x = RNG.normal(0, 50, shape).astype(np.float32)
        expected = scores_of(net, x)
        (got,) = exported.run(["scores"], {"images": x})
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("size", [(33, 57), (30, 44), (7, 90), (1, 2)])
@pytest.mark.parametrize("name", ["small", "aspp-l"])
def test_upsampled_scores_and_labels_are_those_of_segment(name, size):
    net = network(name)
    image = RNG.integers(0, 256, (*size, 3), np.uint8)
    x = net.preprocessing(image)[None]
    expected = inference.upsample(inference.coarse_scores(image, net), size)
    (got,) = session(to_onnx(net, upsample=True)).run(["scores"], {"images": x})
    np.testing.assert_allclose(got[0], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    (labels,) = session(to_onnx(net, upsample=True, argmax=True)).run(["labels"], {"images": x})
    assert labels.shape == (1, *size) and labels.dtype == np.int64
    np.testing.assert_array_equal(labels, got.argmax(1))


def test_bundled_weights_by_the_command(tmp_path, capsys):
    path = tmp_path / "camvid.onnx"
    assert run(["convert", "camvid", str(path), "--upsample", "--argmax"]) == 0
    assert "camvid.onnx: input images (N, 3, H, W)" in capsys.readouterr().out
    net = models.from_checkpoint(pretrained.find("camvid"))
    image = RNG.integers(0, 256, (50, 70, 3), np.uint8)
    labels, _ = inference.segment(image, net, crf=False)
    exported = session(str(path))
    (got,) = exported.run(None, {"images": net.preprocessing(image)[None]})
    assert (got[0] == labels).mean() > 0.999
    meta = exported.get_modelmeta().custom_metadata_map
    assert models.Preprocessing(**json.loads(meta["preprocessing"])) == net.preprocessing
    assert meta["model"] == "small" and json.loads(meta["classes"]) == net.meta["classes"]


def test_weights_have_the_names_of_the_state_dict():
    net = network("aspp-s")
    found = {w.name: onnx.numpy_helper.to_array(w) for w in to_onnx(net).graph.initializer}
    assert set(found) == set(net.state_dict())
    assert all(np.array_equal(found[name], a) for name, a in net.state_dict().items())


def test_wrong_usage_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["convert", "camvid", "x.onnx", "--half"]) == 2
    assert run(["convert", "camvid", "x.npz", "--argmax"]) == 2
    io.write_image(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    capsys.readouterr()
    assert run(["convert", "a.png", "x.onnx"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_without_the_package_the_message_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert run(["convert", "camvid", str(tmp_path / "x.onnx")]) == 1
    assert "pip install 'minideeplab[onnx]'" in capsys.readouterr().err


def test_an_unknown_module_is_named(tmp_path):
    net = models.deeplab_small(2)
    net.score = nn.Linear(64, 2)
    with pytest.raises(TypeError, match="a Linear has no ONNX form"):
        export_onnx(net, tmp_path / "x.onnx")
    assert not any(tmp_path.iterdir())
