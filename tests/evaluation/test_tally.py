"""The score sheet, the gallery and the legend."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import evaluation
from minideeplab.data import SyntheticScenes
from minideeplab.visualize.palettes import voc_palette

SCENES = SyntheticScenes(4, size=(40, 50))


def guesses():
    """(name, labels, truth): the first image right, the others ever worse."""
    for i, name in enumerate(SCENES.names):
        truth = SCENES[i][1].astype(int)
        labels = np.where(truth == 255, 0, truth)
        labels[: 8 * i] = (labels[: 8 * i] + 1) % 6
        yield name, labels, truth


@pytest.fixture
def tally():
    sheet = evaluation.Tally(6, trimaps=(2, 5), boundaries=True)
    for guess in guesses():
        sheet.add(*guess)
    return sheet


def test_a_tally_is_the_sum_of_its_images(tally):
    expected = sum(evaluation.confusion_matrix(p, t, 6) for _, p, t in guesses())
    np.testing.assert_array_equal(tally.confusion, expected)
    assert tally.scores.mean_iou == evaluation.scores(expected).mean_iou
    for band, width in zip(tally.bands, (2, 5), strict=True):
        inside = [(p, t, evaluation.trimap(t, width)) for _, p, t in guesses()]
        assert band.sum() == sum(mask.sum() for _, _, mask in inside)
        assert band.trace() == sum((p == t)[mask].sum() for p, t, mask in inside)


def test_boundary_f1_is_averaged_over_the_images_that_have_the_class(tally):
    each = np.array([evaluation.boundary_f1(p, t, 6) for _, p, t in guesses()])
    with np.errstate(invalid="ignore"):
        expected = np.nansum(each, 0) / (~np.isnan(each)).sum(0)
    np.testing.assert_allclose(tally.boundary_f1, expected)


def test_the_worst_come_first_and_those_without_truth_last(tally):
    tally.add("void", np.zeros((9, 9), int), np.full((9, 9), 255))
    order = [one.index for one in tally.worst_first()]
    assert order[-1] == 4 and order[-2] == 0
    ious = [one.mean_iou for one in tally.worst_first()[:-1]]
    assert ious == sorted(ious) and ious[-1] == 1


def test_the_gallery_shows_each_failure_with_its_truth():
    failures = [
        (name, SCENES[i][0], truth, labels) for i, (name, labels, truth) in enumerate(guesses())
    ][2:]
    failures.append(("small", *(array[:20, :20] for array in failures[0][1:])))
    figure = evaluation.failure_gallery(failures, SCENES.classes, SCENES.palette)
    assert len(figure.axes) == 12
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0] == failures[0][0] and titles[1:4] == ["truth", "labelled as", "wrong"]
    wrong = figure.axes[3].images[0].get_array()
    _, _, truth, labels = failures[0]
    dark = np.all(wrong == evaluation.gallery.WRONG, axis=2)
    np.testing.assert_array_equal(dark, (labels != truth) & (truth != 255))
    with pytest.raises(ValueError, match="failures"):
        evaluation.failure_gallery([], SCENES.classes, SCENES.palette)


def test_below_the_gallery_stand_the_classes_with_the_most_pixels():
    names, palette = [f"class {i}" for i in range(21)], voc_palette(21)
    truth = np.arange(21, dtype=np.uint8).repeat(np.arange(21))[:210].reshape(14, 15)  # i of i
    failure = ("a", np.zeros((14, 15, 3), np.uint8), truth, truth)
    figure = evaluation.failure_gallery([failure], names, palette)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == names[10:]


def test_the_legend_names_every_class_and_void():
    figure = evaluation.legend(SCENES.classes, SCENES.palette)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [f"{i}  {name}" for i, name in enumerate(SCENES.classes)] + ["255  ignored"]
    colour = figure.legends[0].get_patches()[1].get_facecolor()[:3]
    np.testing.assert_allclose(colour, SCENES.palette[1] / 255)
