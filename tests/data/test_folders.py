"""CamVid and PASCAL VOC from small made-up folders, whole and broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minideeplab.data import CamVid, PascalVOC
from minideeplab.io import write_labels
from minideeplab.visualize.palettes import CAMVID_CLASSES, voc_palette

REAL_CAMVID = Path(__file__).parents[2] / ".." / "shared" / "camvid"


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def camvid(tmp_path):
    for name, suffix in (("b", "png"), ("a", "jpg")):
        save(tmp_path / "val" / f"{name}.{suffix}", np.full((4, 6, 3), 50, np.uint8))
        save(
            tmp_path / "valannot" / f"{name}.png", np.arange(24, dtype=np.uint8).reshape(4, 6) % 12
        )
    return tmp_path


@pytest.fixture
def voc(tmp_path):
    base = tmp_path / "VOC2012"
    labels = np.array([[0, 15, 255], [20, 7, 0]], np.uint8)
    for name in ("x", "y"):
        save(base / "JPEGImages" / f"{name}.jpg", np.zeros((2, 3, 3), np.uint8))
    for folder in ("SegmentationClass", "SegmentationClassAug"):
        (base / folder).mkdir()
        for name in ("x", "y"):
            write_labels(base / folder / f"{name}.png", labels, voc_palette())
    lists = base / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("y\n\n")
    (lists / "trainaug.txt").write_text("/JPEGImages/x.jpg /SegmentationClassAug/x.png\n")
    return tmp_path


def test_camvid_pairs_by_stem_and_maps_void(camvid):
    ds = CamVid(camvid, "val")
    image, labels = ds[0]
    assert (len(ds), ds.names, ds.classes) == (2, ["a", "b"], list(CAMVID_CLASSES))
    assert image.shape == (4, 6, 3) and image.dtype == labels.dtype == np.uint8
    expected = np.arange(24).reshape(4, 6) % 12
    np.testing.assert_array_equal(labels, np.where(expected == 11, 255, expected))


def test_datasets_can_be_iterated_over(camvid):
    assert len(list(CamVid(camvid, "val"))) == 2


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda r: (r / "val" / "a.jpg").unlink(), ValueError, "lack an image"),
        (lambda r: (r / "valannot" / "a.png").unlink(), ValueError, "lack labels"),
        (lambda r: (r / "valannot").rename(r / "x"), FileNotFoundError, "no such folder"),
    ],
)
def test_camvid_folders_that_do_not_pair_up(camvid, change, error, message):
    change(camvid)
    with pytest.raises(error, match=message):
        CamVid(camvid, "val")


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.full((4, 6), 12, np.uint8), "label 12 is no class"), (np.zeros((6, 4), np.uint8), "4x6")],
)
def test_bad_labels_name_the_file(camvid, labels, message):
    save(camvid / "valannot" / "a.png", labels)
    with pytest.raises(ValueError, match=rf"a\.png: .*{message}"):
        CamVid(camvid, "val")[0]


def test_camvid_unknown_split(camvid):
    with pytest.raises(ValueError, match="train, val, test, got 'dev'"):
        CamVid(camvid, "dev")


def test_voc_reads_the_list_and_the_palette_labels(voc):
    ds = PascalVOC(voc, "val")
    assert ds.names == ["y"] and len(ds.classes) == 21
    np.testing.assert_array_equal(ds[0][1], [[0, 15, 255], [20, 7, 0]])


def test_voc_colour_labels_mean_the_same(voc):
    path = voc / "VOC2012" / "SegmentationClass" / "y.png"
    Image.open(path).convert("RGB").save(path)
    np.testing.assert_array_equal(PascalVOC(voc, "val")[0][1], [[0, 15, 255], [20, 7, 0]])


def test_voc_augmented_list_uses_the_augmented_labels(voc):
    ds = PascalVOC(voc / "VOC2012", "trainaug")
    assert ds.names == ["x"] and ds.label_paths[0].parent.name == "SegmentationClassAug"


def test_voc_missing_parts_are_named(voc):
    with pytest.raises(FileNotFoundError, match="lists found: trainaug, val"):
        PascalVOC(voc, "train")
    (voc / "VOC2012" / "JPEGImages" / "y.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"y\.jpg: no such file"):
        PascalVOC(voc, "val")


def test_voc_palette_is_the_known_one():
    palette = voc_palette()
    known = {0: (0, 0, 0), 1: (128, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128)}
    assert all(tuple(palette[k]) == v for k, v in known.items())
    assert len(np.unique(palette, axis=0)) == 256


@pytest.mark.skipif(not REAL_CAMVID.is_dir(), reason="CamVid is not here")
def test_the_real_camvid():
    assert [len(CamVid(REAL_CAMVID, split)) for split in ("train", "val")] == [367, 101]
    image, labels = CamVid(REAL_CAMVID, "val")[0]
    assert image.shape == (360, 480, 3) and set(np.unique(labels)) <= {*range(11), 255}
