"""minideeplab demo: it runs from nothing but the package, and what it says and draws is true."""

from __future__ import annotations

import re

import numpy as np
import pytest

from minideeplab import cli, io
from minideeplab.cli import demo


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Run the demo once, on fewer scenes; return the folder and what it printed."""
    import contextlib
    from io import StringIO

    out = tmp_path_factory.mktemp("demo") / "images"
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(StringIO()) as printed:
        patch.setitem(demo.SCENE, "count", 2)
        assert cli.run(["demo", "--out", str(out)]) == 0
    return out, printed.getvalue()


def test_every_stage_is_an_image(told):
    out, text = told
    stages = ["image", "coarse-scores", "bilinear-upsampling", "CRF-1-iteration",
              "CRF-5-iterations", "CRF-10-iterations", "truth"]  # fmt: skip
    for number, stage in enumerate(stages, start=1):
        image = io.read_image(out / "scene" / f"{number}-{stage}.png")
        assert image.shape == (*demo.SCENE["size"], 3)
    for name in ("scene.png", "photograph.png"):
        assert io.read_image(out / name).shape[1] > 1000 and str(out / name) in text
    assert "Try next" in text


def test_the_crf_improves_the_mean_iou(told):
    percents = [float(value) for value in re.findall(r"([\d.]+)%", told[1])]
    bilinear, *iterations, all_before, all_after, _ = percents
    assert len(iterations) == 3
    assert bilinear > 50 and iterations[-1] > bilinear and all_after > all_before


def test_the_truth_panel_is_the_truth(told):
    from minideeplab.data import SyntheticScenes
    from minideeplab.visualize import colourise

    scenes = SyntheticScenes(**demo.SCENE)
    expected = colourise(scenes[0][1], scenes.palette)
    np.testing.assert_array_equal(io.read_image(told[0] / "scene" / "7-truth.png"), expected)


def test_strokes_reach_their_regions_and_no_further(told):
    image = io.read_image(told[0] / "photograph" / "6-face-hat-and-uniform-alone.png")
    inside = [(265, 250), (400, 550), (260, 140), (330, 200)]  # x, y: face, uniform, hat, temple
    outside = [(450, 100), (30, 100), (100, 250), (500, 300)]  # wall, flag, flag, wall
    assert all(image[y, x].min() < 250 for x, y in inside)
    assert all((image[y, x] == 255).all() for x, y in outside)


def test_strokes_mark_every_region_and_little_else():
    strokes = demo.draw_strokes((600, 512))
    assert set(np.unique(strokes)) == {*range(len(demo.REGIONS)), demo.UNMARKED}
    assert (strokes != demo.UNMARKED).mean() < 0.1


def test_changes_are_painted_by_kind():
    truth = np.array([[0, 0, 0, 0, 255]])
    before, after = np.array([[0, 1, 0, 1, 1]]), np.array([[0, 0, 1, 1, 0]])
    one_hot = [np.eye(2)[labels].transpose(2, 0, 1) for labels in (before, after)]
    painted = demo._changes(*one_hot, truth, np.full((1, 5, 3), 100, np.uint8))
    expected = [(160,) * 3, (0, 114, 178), (213, 94, 0), (40, 40, 40), (160,) * 3]
    np.testing.assert_array_equal(painted[0], expected)


def test_unwritable_folder_is_found_first(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert cli.run(["demo", "--out", str(tmp_path / "file")]) == 1
    assert "cannot write to the folder" in capsys.readouterr().err
