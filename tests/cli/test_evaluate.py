"""``minideeplab evaluate --out``: label images, worst images, legend, tables."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from minideeplab import cli, io, models
from minideeplab.data import SyntheticScenes
from minideeplab.visualize.palettes import VOC_CLASSES


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "new"
    arguments = "evaluate --data shapes:3 --weights shapes --worst 2 --scales 0.75,1 --fusion max"
    assert cli.run([*arguments.split(), "--out", str(out)]) == 0
    return out


def test_every_image_has_its_labels_as_a_palette_png(report):
    scenes = SyntheticScenes(3, seed=1)  # the split val
    assert sorted(path.stem for path in (report / "labels").iterdir()) == scenes.names
    with Image.open(report / "labels" / f"{scenes.names[0]}.png") as image:
        assert image.mode == "P" and image.size == scenes[0][1].shape[::-1]
        assert image.getpalette()[3:6] == scenes.palette[1].tolist()


def test_tables_agree_with_the_labels(report):
    scenes = SyntheticScenes(3, seed=1)
    with open(report / "images.csv", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    ious = [float(row["mean_iou"]) for row in rows.values()]
    assert ious == sorted(ious)
    for i, name in enumerate(scenes.names):
        truth, labels = scenes[i][1], io.read_labels(report / "labels" / f"{name}.png")
        right = (labels == truth)[truth != 255].mean()
        assert float(rows[name]["pixel_accuracy"]) == pytest.approx(right, abs=1e-4)
    with open(report / "confusion.csv", newline="") as file:
        matrix = np.array([row[1:] for row in list(csv.reader(file))[1:]], int)
    assert matrix.sum() == sum((scenes[i][1] != 255).sum() for i in range(3))
    with open(report / "scores.csv", newline="") as file:
        scores = {row["score"]: row["value"] for row in csv.DictReader(file)}
    assert float(scores["pixel accuracy"]) == pytest.approx(matrix.trace() / matrix.sum(), abs=1e-4)
    ious = [float(scores[f"IoU of {name}"]) for name in scenes.classes]
    assert float(scores["mean IoU"]) == pytest.approx(np.mean(ious), abs=1e-4)
    assert {"boundary F1", "trimap of 1 pixels", "trimap of 20 pixels"} <= scores.keys()


def test_images_of_failures_and_legend_are_drawn(report):
    for name in ("worst.png", "legend.png"):
        with Image.open(report / name) as image:
            assert min(image.size) > 100


def test_pascal_vocs_results_lie_where_its_devkit_looks(tmp_path, capsys):
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / "VOC2012" / folder).mkdir(parents=True)
    Image.new("RGB", (33, 25), "green").save(tmp_path / "VOC2012/JPEGImages/a.jpg")
    Image.new("L", (33, 25), 2).save(tmp_path / "VOC2012/SegmentationClass/a.png")
    (tmp_path / "VOC2012/ImageSets/Segmentation/val.txt").write_text("a\n")
    meta = {"model": "small", "num_classes": 21, "classes": list(VOC_CLASSES)}
    weights = tmp_path / "w.npz"
    models.save_weights(weights, models.deeplab_small(21).state_dict(), meta)
    data = ["--data", f"voc:{tmp_path}", "--weights", str(weights), "--out", str(tmp_path / "out")]
    assert cli.run(["evaluate", *data]) == 0
    path = tmp_path / "out/results/VOC2012/Segmentation/comp6_val_cls/a.png"
    assert io.read_labels(path).shape == (25, 33)
    assert "boundary F1" not in capsys.readouterr().out  # one class everywhere has no boundary


@pytest.mark.parametrize("option, words", [
    (["--trimap", "5,0.5"], "trimap: '5,0.5', expected numbers of 1 or more"),
    (["--scales", "1,x"], "scales: '1,x', expected positive numbers"),
    (["--split", "trian"], "split: expected one of train, val, test, got 'trian'"),
])  # fmt: skip
def test_what_was_mistyped_is_named(option, words, capsys):
    assert cli.run(["evaluate", "--data", "shapes:1", "--weights", "shapes", *option]) == 1
    assert words in capsys.readouterr().err
