"""Own data: folders as CamVid's and a list of class names."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from minideeplab import cli
from minideeplab.data import open_dataset


@pytest.fixture
def root(tmp_path):
    """Two pairs in train, classes in the file of a Windows editor."""
    for name in ("train", "trainannot"):
        (tmp_path / name).mkdir()
    for stem in "ab":
        Image.new("RGB", (40, 32), "red").save(tmp_path / "train" / f"{stem}.jpg")
        labels = np.tile(np.uint8([0, 1, 255, 2]), (32, 10))
        Image.fromarray(labels).save(tmp_path / "trainannot" / f"{stem}.png")
    (tmp_path / "classes.txt").write_bytes("\ufeffsky\r\nroad\r\ncafé\r\n\r\n".encode())
    return tmp_path


def test_pairs_classes_and_labels_are_read(root):
    dataset = open_dataset(f"own:{root}", "train")
    assert dataset.classes == ["sky", "road", "café"] and dataset.names == ["a", "b"]
    image, labels = dataset[1]
    assert image.shape == (32, 40, 3) and dataset.palette.shape == (3, 3)
    assert set(np.unique(labels)) == {0, 1, 2, 255}


def test_what_is_missing_is_named(root):
    with pytest.raises(FileNotFoundError, match=r"val: no such folder; .* split 'val'"):
        open_dataset(f"own:{root}", "val")
    (root / "trainannot" / "b.png").unlink()
    with pytest.raises(ValueError, match=r"b\.jpg has no labels"):
        open_dataset(f"own:{root}", "train")
    (root / "classes.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"classes\.txt: 0 class names"):
        open_dataset(f"own:{root}", "train")
    (root / "classes.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"classes\.txt: no such file"):
        open_dataset(f"own:{root}", "train")


def test_own_data_is_checked_and_trained_on(root):
    assert cli.run(["check-data", str(root), "--classes", "3"]) == 0
    options = "--iterations 2 --batch-size 2 --crop 33 33".split()
    run = ["train", "--data", f"own:{root}", "--out", str(root / "run"), *options]
    assert cli.run(run) == 0
    with np.load(root / "run" / "weights.npz") as weights:
        assert '"road"' in str(weights["__meta__"])


def colour_masks(root):
    """Draw the masks in colours of our own, void in PASCAL VOC's."""
    colours = np.uint8([(128, 64, 128), (70, 70, 70), (0, 0, 142)])
    for stem in "ab":
        labels = np.tile(np.uint8([0, 1, 2, 0]), (32, 10))
        image = colours[labels]
        image[:, :2] = (224, 224, 192)
        Image.fromarray(image).save(root / "trainannot" / f"{stem}.png")


def test_masks_in_colours_are_told_and_read_once_the_colours_are_known(root, capsys):
    colour_masks(root)
    (root / "classes.txt").unlink()
    assert cli.run(["check-data", str(root)]) == 1
    out = capsys.readouterr().out
    assert "masks in colour" in out and "128 64 128 (47.5%)" in out and "car 64 0 128" in out
    (root / "classes.txt").write_text("road 128 64 128\nold house 70, 70, 70\ncar 0 0 142\n")
    assert cli.run(["check-data", str(root)]) == 0
    assert "3 classes: road, old house, car" in capsys.readouterr().out
    dataset = open_dataset(f"own:{root}", "train")
    assert dataset.classes == ["road", "old house", "car"]
    assert dataset.palette.tolist() == [[128, 64, 128], [70, 70, 70], [0, 0, 142]]
    np.testing.assert_array_equal(dataset[0][1][0, :8], [255, 255, 2, 0, 0, 1, 2, 0])


def test_a_image_that_training_would_stumble_over_is_a_problem(root, capsys):
    (root / "trainannot" / "b.png").unlink()
    assert cli.run(["check-data", str(root)]) == 1
    assert "PROBLEM 1 x images without a mask of the same name: b.jpg" in capsys.readouterr().out


def test_a_colour_that_is_no_class_is_named(root, capsys):
    colour_masks(root)
    (root / "classes.txt").write_text("road 128 64 128\ncar 0 0 142\n")
    assert cli.run(["check-data", str(root)]) == 1
    out = capsys.readouterr().out
    assert "masks with colours not in the palette: a.png, b.png" in out
    assert "a.png: colours not in the palette: #464646" in out


@pytest.mark.parametrize("text, words", [
    ("road 1 2 3\ncar\n", "'car' has no colour"),
    ("road 1 2 300\n", "0..255"),
    ("road 1 2 3\ncar 1 2 3\n", "one class only"),
])  # fmt: skip
def test_colours_that_cannot_be_meant_are_refused(root, text, words):
    (root / "classes.txt").write_text(text)
    with pytest.raises(ValueError, match=words):
        open_dataset(f"own:{root}", "train")
