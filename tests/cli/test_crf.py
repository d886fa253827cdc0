"""minideeplab crf: labels, scribbles and probabilities in, a refined label image out."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from minideeplab import cli, io


@pytest.fixture
def photo(tmp_path):
    """Dark left half, bright right half."""
    image = np.full((24, 32, 3), 40, np.uint8)
    image[:, 16:] = 200
    path = tmp_path / "in" / "photo.v1.png"
    path.parent.mkdir()
    Image.fromarray(image).save(path)
    return path


TRUTH = np.where(np.arange(32) < 16, 0, 1) * np.ones((24, 1), np.uint8)


def run(*arguments):
    return cli.run(["crf", *map(str, arguments)])


def test_scribbles_in_colours_spread_over_their_regions(photo, tmp_path):
    strokes = np.zeros((24, 32, 3), np.uint8)
    strokes[10:14, 3:8] = (0, 0, 255)
    strokes[4:8, 22:29] = (0, 255, 0)
    Image.fromarray(strokes).save(tmp_path / "strokes.png")
    out = tmp_path / "out"
    assert run(photo, tmp_path / "strokes.png", "--certainty", 0.95, "--out", out) == 0
    np.testing.assert_array_equal(io.read_labels(out / "photo.v1.png"), TRUTH)
    colours = io.read_image(out / "photo.v1.png")
    assert tuple(colours[0, 0]) == (0, 0, 255) and tuple(colours[0, -1]) == (0, 255, 0)
    assert sorted(p.name for p in out.iterdir()) == ["photo.v1-overlay.png", "photo.v1.png"]


def test_transparent_pixels_are_unknown(photo, tmp_path):
    strokes = np.full((24, 32, 4), 255, np.uint8)
    strokes[:, :, 3] = 0
    strokes[10:14, 3:8] = (9, 0, 0, 255)
    strokes[4:8, 22:29] = (200, 0, 0, 255)
    Image.fromarray(strokes).save(tmp_path / "strokes.png")
    assert run(photo, tmp_path / "strokes.png", "--certainty", 0.95, "--out", tmp_path) == 0
    np.testing.assert_array_equal(io.read_labels(tmp_path / "photo.v1.png"), TRUTH)


def test_a_noisy_label_image_is_cleaned_and_keeps_its_palette(photo, tmp_path):
    noisy = np.where(np.random.default_rng(0).random(TRUTH.shape) < 0.2, 1 - TRUTH, TRUTH)
    palette = np.array([(1, 2, 3), (9, 8, 7)], np.uint8)
    io.write_labels(tmp_path / "noisy.png", noisy.astype(np.uint8), palette)
    assert run(photo, tmp_path / "noisy.png", "--out", tmp_path / "out") == 0
    np.testing.assert_array_equal(io.read_labels(tmp_path / "out" / "photo.v1.png"), TRUTH)
    assert tuple(io.read_image(tmp_path / "out" / "photo.v1.png")[0, 0]) == (1, 2, 3)


def test_probabilities_in_and_out_agree_with_refine(photo, tmp_path):
    from minideeplab.crf import CRFParameters, refine

    p = np.random.default_rng(0).dirichlet((1, 1, 1), (24, 32)).transpose(2, 0, 1)
    np.save(tmp_path / "p.npy", p.astype(np.float32))
    flags = ["--w1", 5, "--sigma-alpha", 30, "--sigma-beta", 9, "--iterations", 3]
    assert run(photo, tmp_path / "p.npy", *flags, "--probabilities", "--out", tmp_path) == 0
    expected = refine(io.read_image(photo), p.astype(np.float32), 3, CRFParameters(5, 30, 9, 3, 3))
    np.testing.assert_allclose(np.load(tmp_path / "photo.v1.npy"), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"nonsense", "not an array file"),
        ("a.npy", np.zeros((2, 3)), "expected one array"),
        ("a.npy", np.zeros((24, 32)), "for two labels save np.stack([1 - p, p])"),
        ("a.npy", np.full((24, 32, 2), 0.5, np.float32), "labels come first"),
        ("a.npy", np.full((2, 3, 4), 0.5, np.float32), "same height and width"),
        ("a.png", b"<html>", "not an image"),
        ("a.png", np.full((24, 32), 255, np.uint8), "no pixel has a label"),
        ("a.png", np.arange(24 * 32 * 3).reshape(24, 32, 3).astype(np.uint8), "colours; expected"),
    ],
)
def test_sources_that_will_not_do(photo, tmp_path, capsys, name, content, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif name == "a.npy":
        np.save(path, content)
    else:
        Image.fromarray(content).save(path)
    assert run(photo, path, "--out", tmp_path / "out") == 1
    assert message in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


def test_never_overwrites_the_image(photo, tmp_path, capsys):
    before = photo.read_bytes()
    assert run(photo, photo, "--out", photo.parent) == 2
    assert "would be overwritten" in capsys.readouterr().err and photo.read_bytes() == before


def test_unknown_parameters_list_the_known(photo, capsys):
    assert run(photo, photo, "--parameters", "best", "--out", photo.parent / "o") == 1
    assert "v1-largefov" in capsys.readouterr().err


def test_more_classes_than_a_label_image_holds_are_refused(photo, tmp_path, capsys):
    np.save(tmp_path / "q.npy", np.full((300, 24, 32), 1 / 300, np.float32))
    assert run(photo, tmp_path / "q.npy", "--out", tmp_path / "o") == 1
    assert "300 labels; expected at most 255" in capsys.readouterr().err
