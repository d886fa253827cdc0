"""The notebooks' plotting helpers, and their colours under colour blindness."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib.figure import Figure

from minideeplab.visualize import plots
from minideeplab.visualize.palettes import CAMVID_CLASSES, CAMVID_PALETTE, SCENE_CLASSES

VISIONS = ("normal", "protan", "deutan")


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(
    ("palette", "bound"),
    [(plots.CAMVID_COLOURS, 20), (plots.SCENE_COLOURS, 20), (plots.REGION_COLOURS, 20)],
)
def test_classes_differ_for_every_colour_vision(palette, bound, vision):
    seen = np.vstack([palette, plots.IGNORED, plots.WRONG])
    assert plots.smallest_difference(seen, vision) > bound


def test_the_measure_finds_colours_that_are_hard_to_tell_apart():
    assert min(plots.smallest_difference(CAMVID_PALETTE, vision) for vision in VISIONS) < 8
    assert len(plots.CAMVID_COLOURS) == len(CAMVID_CLASSES)
    assert len(plots.SCENE_COLOURS) == len(SCENE_CLASSES)


def test_lab_and_simulation_have_known_values():
    colours = np.array([(255, 255, 255), (0, 0, 0), (255, 0, 0)], np.uint8)
    expected = [(100, 0, 0), (0, 0, 0), (53.24, 80.09, 67.20)]
    np.testing.assert_allclose(plots.to_lab(colours), expected, atol=0.02)
    greys = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
    for vision in VISIONS:
        np.testing.assert_allclose(plots.simulate(greys, vision), greys, atol=1)
    red, green = plots.simulate(np.array([(200, 60, 0), (100, 120, 0)], np.uint8), "deutan")
    assert np.abs(red.astype(int) - green)[:2].max() < 45, "red and green come closer"


def test_paint_marks_ignored_and_wrong_pixels():
    labels, truth = np.array([[0, 1, 2, 255]]), np.array([[0, 2, 255, 1]])
    painted = plots.paint(labels, plots.SCENE_COLOURS)
    np.testing.assert_array_equal(painted[0, :3], plots.SCENE_COLOURS[:3])
    assert tuple(painted[0, 3]) == plots.IGNORED
    wrong = plots.paint(labels, plots.SCENE_COLOURS, truth)
    assert [tuple(pixel) == plots.WRONG for pixel in wrong[0]] == [False, True, False, True]


def test_strokes_have_a_black_rim():
    marks = np.full((9, 9), 255)
    marks[4, 4] = 1
    drawn = plots.paint_strokes(np.full((9, 9, 3), 90, np.uint8), marks, plots.REGION_COLOURS)
    np.testing.assert_array_equal(drawn[4, 4], plots.REGION_COLOURS[1])
    assert (drawn[3:6, 2] == 0).all() and (drawn[0] == 90).all()


def test_legend_lists_classes_and_ignored():
    figure = Figure(layout="constrained")
    plots.show(figure.subplots(), np.zeros((3, 4)), "zeros")
    plots.add_legend(figure, SCENE_CLASSES, plots.SCENE_COLOURS, ignored=True, wrong=True)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [*SCENE_CLASSES, "ignored", "wrong"]


def test_values_are_readable_on_their_cells():
    axes = Figure().subplots()
    table = np.array([[0.0, 1.0]])
    axes.imshow(table, cmap="gray")
    plots.add_values(axes, table, "{:.0f}")
    assert [(text.get_text(), text.get_color()) for text in axes.texts] == [
        ("0", "white"), ("1", "black"),
    ]  # fmt: skip
    plots.add_square(axes, (0, 1), 2, plots.BLUE)
    assert len(axes.patches) == 2


def test_street_is_bundled_with_its_licence():
    assert plots.street().shape == (480, 640, 3)
