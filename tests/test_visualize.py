"""Colours, overlays and panels."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import visualize

PALETTE = np.array([(10, 20, 30), (200, 100, 0)], np.uint8)


def test_colourise_and_confidence():
    labels = np.array([[0, 1, 255]])
    np.testing.assert_array_equal(
        visualize.colourise(labels, PALETTE)[0], [(10, 20, 30), (200, 100, 0), (224, 224, 192)]
    )
    p = np.array([[[1.0, 0.5]], [[0.0, 0.5]]], np.float32)
    np.testing.assert_array_equal(
        visualize.confidence(p, PALETTE)[0], [(10, 20, 30), (105, 60, 15)]
    )


def test_overlay_mixes_outlines_and_spares_ignored_pixels():
    image = np.full((4, 6, 3), 100, np.uint8)
    labels = np.zeros((4, 6), np.uint8)
    labels[:, 3:] = 1
    labels[3, :] = 255
    mixed = visualize.overlay(image, labels, PALETTE, alpha=0.5)
    assert tuple(mixed[0, 0]) == (55, 60, 65) and tuple(mixed[0, 4]) == (150, 100, 50)
    assert (mixed[0, 2] == 255).all() and (mixed[3] == 100).all()
    np.testing.assert_array_equal(visualize.overlay(image, labels, PALETTE, 0), image)


def test_overlay_at_full_strength_is_the_colours():
    image = np.full((1, 4, 3), 255, np.uint8)
    labels = np.ones((1, 4), np.uint8)
    assert (visualize.overlay(image, labels, PALETTE, 1) == PALETTE[1]).all()


@pytest.mark.parametrize(("shape", "alpha"), [((2, 3), 0.5), ((2, 2), 1.5)])
def test_overlay_bad_arguments(shape, alpha):
    with pytest.raises(ValueError, match="expected"):
        visualize.overlay(np.zeros((2, 2, 3), np.uint8), np.zeros(shape, np.uint8), PALETTE, alpha)


def test_panels_draw_every_image_without_a_window():
    images = [(f"panel {i}", np.full((30, 40, 3), 40 * i, np.uint8)) for i in range(5)]
    figure = visualize.panels(images, 3, "title", [("a", PALETTE[0]), ("b", PALETTE[1])])
    assert [axes.get_title(loc="left") for axes in figure.axes] == [name for name, _ in images]
    assert len(figure.legends[0].get_patches()) == 2
    figure.canvas.draw()
    for axes in figure.axes:  # titles stay inside the figure, images keep their shape
        box = axes.get_window_extent()
        assert box.width / box.height == pytest.approx(40 / 30, rel=0.02)
        assert figure.bbox.contains(*box.min) and figure.bbox.contains(*box.max)
