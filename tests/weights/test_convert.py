"""``minideeplab convert``: formats, surgery, names of official files, errors."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import vgg_states

from minideeplab import models
from minideeplab.cli import run
from minideeplab.weights import KNOWN, download, load, save

SMALL = Path(__file__).parent / "data" / "v1.caffemodel"


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_only_the_format_changes(tmp_path, capsys, suffix):
    target = tmp_path / f"net{suffix}"
    assert run(["convert", str(SMALL), str(target)]) == 0
    before, after = load(SMALL), load(target)
    assert after.origin == "caffe" and set(after) == set(before)
    assert all(np.array_equal(after[name], before[name]) for name in before)
    assert "4 arrays, 161 numbers" in capsys.readouterr().out


def test_half_halves_the_file(tmp_path):
    save(tmp_path / "net.npz", {"w": np.ones((100, 100), np.float32)})
    assert run(["convert", str(tmp_path / "net.npz"), str(tmp_path / "half.npz"), "--half"]) == 0
    assert load(tmp_path / "half.npz")["w"].dtype == np.float16


def test_without_a_target_the_file_is_described(capsys):
    assert run(["convert", str(SMALL)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "conv1_1.weight  (4, 3, 3, 2)  float32" and len(lines) == 5


@pytest.fixture(scope="module")
def reduced(tmp_path_factory):
    """The smallest VGG-16 that surgery takes: the authors' reduced one, as vgg16_20M."""
    state = {name: a for name, a in vgg_states.caffe().items() if not name.startswith("fc")}
    shapes = {"fc6": (1024, 512, 3, 3), "fc7": (1024, 1024, 1, 1)}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = vgg_states.constant(0.5, shape)
        state[f"{name}.bias"] = vgg_states.constant(0.25, shape[:1])
    path = tmp_path_factory.mktemp("vgg") / "vgg16_20M.npz"
    save(path, state, half=True)
    return path


def test_the_result_opens_as_a_network(reduced, tmp_path):
    target = tmp_path / "deeplab.npz"
    arguments = ["--to", "largefov", "--classes", "11", "--half"]
    assert run(["convert", str(reduced), str(target), *arguments]) == 0
    net = models.from_checkpoint(target)
    assert net.num_classes == 11 and net.preprocessing == models.CAFFE
    assert (net.fc6.weight.data == 0.5).all() and net.fc8.weight.data.std() > 0
    assert "vgg16_20M.npz" in net.meta["training"]


def test_the_source_can_be_given(reduced, tmp_path, capsys):
    arguments = ["convert", str(reduced), str(tmp_path / "net.npz"), "--source", "matconvnet"]
    assert run(arguments) == 2 and "--source needs --to and" in capsys.readouterr().err
    state = load(reduced)
    state["conv1_1.weight"] = state["conv1_1.weight"] * np.float32([1, 2, 3])[:, None, None]
    save(tmp_path / "rgb.npz", state)
    arguments[1] = str(tmp_path / "rgb.npz")
    assert run([*arguments, "--to", "largefov"]) == 0
    assert "new, with random weights: fc8\n" in capsys.readouterr().err
    found = load(tmp_path / "net.npz")["conv1_1.weight"][0, :, 0, 0]
    np.testing.assert_array_equal(found, [3, 2, 1])


def test_a_network_of_another_frameworks_weights_as_onnx(reduced, tmp_path, capsys):
    onnx = pytest.importorskip("onnx")
    target = tmp_path / "net.onnx"
    assert run(["convert", str(reduced), str(target), "--to", "largefov", "--classes", "4"]) == 0
    assert "output scores (N, 4, H', W')" in capsys.readouterr().out
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(target).graph.initializer}
    assert (weights["fc6.weight"] == 0.5).all() and weights["fc8.weight"].shape[0] == 4


def test_an_official_file_by_name(tmp_path, monkeypatch, capsys):
    cached = tmp_path / "cache" / "net.caffemodel"
    cached.parent.mkdir()
    cached.write_bytes(SMALL.read_bytes())
    checksum = "sha256:" + hashlib.sha256(cached.read_bytes()).hexdigest()
    source = download.Source("http://127.0.0.1:9/net.caffemodel", checksum, "")
    monkeypatch.setitem(KNOWN, "vgg16-caffe", source)
    monkeypatch.setenv("MINIDEEPLAB_CACHE", str(cached.parent))
    assert run(["convert", "vgg16-caffe", str(tmp_path / "net.npz")]) == 0
    assert len(load(tmp_path / "net.npz")) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.pth", "x.npz"], "absent.pth: no such file, and not one of the known names"),
        ([str(SMALL), "x.pth"], "x.pth: weights are written to .npz or .safetensors files"),
        ([str(SMALL), "x.npz", "--to", "largefov"], "do not fit VGG-16"),
        ([str(SMALL), "absent/x.npz"], "absent"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert run(["convert", *arguments]) == 1
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage(capsys):
    assert run(["convert", "a.pth", "b.npz", "--to", "segnet"]) == 2
    assert run(["convert"]) == 2


def test_help_names_every_known_file(capsys):
    assert run(["convert", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert all(name in text for name in KNOWN)
