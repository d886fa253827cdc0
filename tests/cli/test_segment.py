"""minideeplab segment: names, bad files, exit statuses and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minideeplab import cli, io, models
from minideeplab.cli.segment import summary, unique_names


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net.npz"
    net = models.deeplab_small(num_classes=3, seed=1)
    meta = {
        "model": "small",
        "num_classes": 3,
        "classes": ["sky", "road", "car"],
        "palette": [[0, 0, 0], [10, 200, 30], [250, 0, 0]],
    }
    models.save_weights(path, net.state_dict(), meta)
    return path


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "in" / "photo.jpg"
    path.parent.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (30, 44, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    return path


def run(*arguments):
    return cli.run(["segment", *map(str, arguments)])


def test_writes_labels_and_overlay_of_the_images_size(weights, photo, tmp_path, capsys):
    out = tmp_path / "out" / "deep"
    assert run(photo, "--out", out, "--weights", weights, "--scales", "0.5,1", "--flip") == 0
    assert sorted(p.name for p in out.iterdir()) == ["photo-overlay.png", "photo.png"]
    labels = Image.open(out / "photo.png")
    assert labels.mode == "P" and labels.size == (44, 30)
    assert labels.getpalette()[3:6] == [10, 200, 30] and np.asarray(labels).max() < 3
    assert Image.open(out / "photo-overlay.png").size == (44, 30)
    assert str(out / "photo.png") in capsys.readouterr().out


def test_tiles_give_labels_and_probabilities(weights, photo, tmp_path):
    options = ["--weights", weights, "--no-crf", "--save", "probabilities", "--tile", "64"]
    assert run(photo, "--out", tmp_path, *options) == 0
    probabilities = np.load(tmp_path / "photo-probabilities.npy")
    assert probabilities.shape == (3, 30, 44) and probabilities.dtype == np.float32
    np.testing.assert_array_equal(
        io.read_labels(tmp_path / "photo.png"), probabilities.argmax(axis=0)
    )


def test_images_of_more_pixels_than_allowed_name_the_option(
    weights, photo, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    options = ["--out", tmp_path, "--weights", weights, "--no-crf"]
    assert run(photo, *options, "--max-pixels", "1000") == 1
    err = capsys.readouterr().err
    assert "photo.jpg: more than 1,000 pixels; segment --max-pixels" in err
    assert run(photo, *options, "--max-pixels", "1320") == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_saves_probabilities_and_polygons(weights, photo, tmp_path, jobs):
    out = tmp_path / "out"
    saving = ("--save", "probabilities", "--save", "polygons", "--jobs", jobs)
    assert run(photo, "--out", out, "--weights", weights, *saving) == 0
    names = ["photo-overlay.png", "photo-probabilities.npy", "photo.geojson", "photo.png"]
    assert sorted(p.name for p in out.iterdir()) == names
    labels, p = io.read_labels(out / "photo.png"), np.load(out / "photo-probabilities.npy")
    assert p.shape == (3, 30, 44) and p.dtype == np.float32
    np.testing.assert_allclose(p.sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(p.argmax(0), labels)
    features = json.loads((out / "photo.geojson").read_text())["features"]
    found = {f["properties"]["classification"]["name"] for f in features}
    assert found == {["sky", "road", "car"][label] for label in np.unique(labels)}
    assert features[0]["geometry"]["type"] == "Polygon"


def test_the_crf_reads_the_probabilities(weights, photo, tmp_path):
    options = ("--weights", weights, "--no-crf", "--save", "probabilities")
    assert run(photo, "--out", tmp_path, *options) == 0
    arguments = [photo, tmp_path / "photo-probabilities.npy", "-o", tmp_path / "refined.png"]
    assert cli.run(["crf", *map(str, arguments)]) == 0
    assert not (tmp_path / "photo.geojson").exists()


def test_without_crf_the_labels_are_the_networks(weights, photo, tmp_path):
    from minideeplab.inference import segment

    assert run(photo, "--out", tmp_path, "--weights", weights, "--no-crf") == 0
    labels, _ = segment(io.read_image(photo), models.from_checkpoint(weights), crf=False)
    np.testing.assert_array_equal(io.read_labels(tmp_path / "photo.png"), labels)


def test_the_views_that_weights_ask_for_are_the_default(weights, photo, tmp_path):
    net = models.from_checkpoint(weights)
    asking = tmp_path / "asking.npz"
    views = {"scales": [0.5, 1.5], "flip": True}
    models.save_weights(asking, net.state_dict(), net.meta | {"views": views})
    given = [
        (asking, ()),
        (weights, ("--scales", "0.5,1.5", "--flip")),
        (asking, ("--scales", "1", "--no-flip")),
        (weights, ()),
    ]
    found = []
    for k, (file, options) in enumerate(given):
        assert run(photo, "--out", tmp_path / str(k), "--weights", file, *options) == 0
        found.append(io.read_labels(tmp_path / str(k) / "photo.png"))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], found[3])
    assert (found[0] != found[2]).any()


def test_goes_on_after_a_bad_file_and_says_so(weights, photo, tmp_path, capsys):
    bad = photo.with_name("bad.jpg")
    bad.write_text("<html>")
    out = tmp_path / "out"
    arguments = [bad, photo, tmp_path / "none.png", "--out", out, "--weights", weights, "--no-crf"]
    assert run(*arguments) == 1
    err = capsys.readouterr().err
    assert "bad.jpg: not an image" in err and "none.png: no such file" in err
    assert "1 of 3 images done; failed:" in err
    assert sorted(p.name for p in out.iterdir()) == ["photo-overlay.png", "photo.png"]


def test_every_mode_of_image(weights, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    base = Image.fromarray(np.random.default_rng(0).integers(0, 255, (17, 23, 3)).astype(np.uint8))
    for mode in ("1", "L", "P", "RGBA", "LA", "CMYK"):
        suffix = "tif" if mode == "CMYK" else "png"
        base.convert(mode).save(folder / f"{mode}.{suffix}")
    Image.fromarray(np.full((17, 23), 40000, np.uint16)).save(folder / "wide.png")
    base.save(folder / "g.gif")
    out = tmp_path / "out"
    assert run(folder, "--out", out, "--weights", weights, "--no-crf") == 0
    images = list(out.iterdir())
    assert len(images) == 16 and all(Image.open(p).size == (23, 17) for p in images)


def test_refuses_to_overwrite_an_image(weights, photo, capsys):
    png = photo.with_suffix(".png")
    Image.open(photo).save(png)
    before = png.read_bytes()
    assert run(png, "--out", photo.parent, "--weights", weights) == 2
    assert "would be overwritten" in capsys.readouterr().err and png.read_bytes() == before


def test_unwritable_output_is_found_before_the_work(weights, photo, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run(photo, "--out", tmp_path / "file", "--weights", weights) == 1
    assert "cannot write to the folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.png"],
        ["a.png", "--out", "o", "--scales", "1,x"],
        ["a.png", "--out", "o", "--scales", "0"],
        ["a.png", "--out", "o", "--save", "scores"],
    ],
)
def test_wrong_usage_is_2(arguments):
    assert run(*arguments) == 2


def test_unknown_weights_and_backend(weights, photo, tmp_path, capsys):
    assert run(photo, "--out", tmp_path, "--weights", "nonsense") == 1
    assert "nonsense: no such weight file" in capsys.readouterr().err
    assert run(photo, "--out", tmp_path, "--weights", weights, "--backend", "abacus") != 0
    assert "abacus" in capsys.readouterr().err


def test_names_collide_with_nothing():
    paths = [Path(p) for p in ("a.jpg", "b/A.png", "a-overlay.gif", "a-2.png", "c.png")]
    names = unique_names(paths)
    files = [f"{name}{end}".lower() for name in names for end in (".png", "-overlay.png")]
    assert len(set(files)) == 10 and names[0] == "a" and names[-1] == "c"


def test_summary_names_the_largest_classes_first():
    labels = np.array([[0, 2, 2, 2]])
    assert summary(labels, ["sky", "road", "car"]) == "car 75%, sky 25%"
    assert summary(labels, None) == "class 2 75%, class 0 25%"


def test_processes_give_the_same_files_and_report_the_same_failures(
    weights, photo, tmp_path, capsys
):
    folder = photo.parent
    for i in range(3):
        io.write_image(folder / f"more-{i}.png", io.read_image(photo)[:, 5 * i :])
    (folder / "broken.png").write_bytes(b"no image")
    results = []
    for jobs in (1, 2):
        out = tmp_path / str(jobs)
        options = ("--weights", weights, "--no-crf", "--backend", "numpy", "--jobs", jobs)
        assert run(folder, "--out", out, *options) == 1
        assert "4 of 5 images done" in capsys.readouterr().err
        results.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert len(results[0]) == 8 and results[0] == results[1]
