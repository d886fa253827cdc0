"""``minideeplab train`` on own data: checked first, validated by default."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from minideeplab import io, models, use_backend
from minideeplab.cli import run
from minideeplab.models.files import read_npz

OPTIONS = "--iterations 2 --batch-size 2 --crop 33 33 --scales 1 1".split()


@pytest.fixture(autouse=True)
def numpy_backend():
    with use_backend("numpy"):
        yield


@pytest.fixture
def root(tmp_path):
    """Four scans of 12 bits in two sequences, and their masks."""
    rng = np.random.default_rng(0)
    for name in ("train", "trainannot"):
        (tmp_path / "own" / name).mkdir(parents=True)
    for name in ("x_1", "x_2", "y_1", "y_2"):
        scan = rng.integers(0, 2731, (33, 33)).astype(np.uint16)
        Image.fromarray(scan).save(tmp_path / "own" / "train" / f"{name}.png")
        labels = rng.choice(np.uint8([0, 1, 255]), (33, 33))
        Image.fromarray(labels).save(tmp_path / "own" / "trainannot" / f"{name}.png")
    (tmp_path / "own" / "classes.txt").write_text("ground\ncell\n")
    return tmp_path / "own"


def train(root, *options):
    out = root.parent / "run"
    return run(["train", "--data", f"own:{root}", "--out", str(out), *OPTIONS, *options])


def test_images_set_apart_are_validated_on_and_the_best_weights_kept(root, capsys):
    assert train(root, "--val-fraction", "0.5") == 0
    out, err = capsys.readouterr()
    assert "2 images to train on, 2 to validate on" in err
    assert "iteration 2: validation mean IoU" in err and "best.npz (validation mean IoU" in out
    lines = (root.parent / "run" / "validation.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines] == ["class", "ground", "cell"]
    assert run(["train", "--out", str(root.parent / "run"), "--resume"]) == 0
    assert "2 images to train on" in capsys.readouterr().err


def test_the_range_of_the_scans_is_said_stored_and_used(root, capsys, tmp_path):
    assert train(root) == 0
    assert "grey values 0.088 to 2729 become" in capsys.readouterr().err
    weights = root.parent / "run" / "weights.npz"
    low, high = read_npz(weights)[1]["intensity_range"]
    assert 0 <= low < 20 and 2700 < high <= 2730
    scan = root / "train" / "x_1.png"
    arguments = [str(scan), "--weights", str(weights), "--no-crf", "--out", str(tmp_path)]
    assert run(["segment", *arguments]) == 0
    from minideeplab.inference import segment

    net = models.from_checkpoint(weights)
    expected, _ = segment(io.read_image(scan, (low, high)), net, crf=False)
    np.testing.assert_array_equal(io.read_labels(tmp_path / "x_1.png"), expected)


def test_masks_of_0_and_255_stop_the_training_unless_told(root, capsys):
    for path in (root / "trainannot").iterdir():
        Image.fromarray(np.uint8([[0, 255, 255]] * 33).repeat(11, axis=1)).save(path)
    assert train(root) == 1
    err = capsys.readouterr().err
    assert "PROBLEM 4 x masks hold only class 0 and 255" in err and "--no-check" in err
    assert train(root, "--no-check") == 0


def test_validation_without_a_split_names_the_way(root, capsys):
    assert train(root, "--val-every", "1") == 1
    assert "--val-fraction 0.2 takes some" in capsys.readouterr().err
