"""Own data: folders as CamVid's and a list of class names."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from minideeplab import cli
from minideeplab.data.specs import open_dataset


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
