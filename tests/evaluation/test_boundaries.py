"""Trimaps and boundary F1 against counts done by hand or pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import evaluation


def test_trimap_is_a_square_dilation_of_the_ignored_pixels():
    rng = np.random.default_rng(1)
    truth = np.where(rng.random((20, 31)) < 0.02, 255, 0)
    for width in (1, 3):
        expected = np.zeros(truth.shape, bool)
        for y, x in np.argwhere(truth == 255):
            expected[max(0, y - width) : y + width + 1, max(0, x - width) : x + width + 1] = True
        expected &= truth != 255
        np.testing.assert_array_equal(evaluation.trimap(truth, width), expected)


def test_trimap_around_boundaries():
    truth = np.zeros((5, 12), int)
    truth[:, 6:] = 2
    band = evaluation.trimap(truth, 2, around="boundaries")
    np.testing.assert_array_equal(np.flatnonzero(band[0]), range(3, 9))
    assert not evaluation.trimap(truth, 2).any()


@pytest.mark.parametrize("arguments", [{"width": 0}, {"width": 1, "around": "edges"}])
def test_trimap_bad_arguments(arguments):
    with pytest.raises(ValueError, match="expected"):
        evaluation.trimap(np.zeros((3, 3), int), **arguments)


def square(top, left, size=(40, 50), side=12, label=1):
    truth = np.zeros(size, int)
    truth[top : top + side, left : left + side] = label
    return truth


def slow_f1(labels, truth, label, reach):
    """The definition, pixel by pixel."""

    def edge(array):
        padded = np.pad(array, 1, mode="edge")
        other = [padded[1:-1, 2:], padded[1:-1, :-2], padded[2:, 1:-1], padded[:-2, 1:-1]]
        return np.argwhere((array == label) & np.any([array != o for o in other], axis=0))

    drawn, outline = edge(labels), edge(truth)
    distance = np.linalg.norm(drawn[:, None] - outline[None], axis=2)
    precision, recall = (distance.min(1) <= reach).mean(), (distance.min(0) <= reach).mean()
    return 2 * precision * recall / (precision + recall)


def test_boundary_f1_is_its_definition():
    rng = np.random.default_rng(3)
    blocks = rng.integers(3, size=(2, 5, 6)).repeat(7, axis=1).repeat(7, axis=2)
    truth, labels = blocks[0], np.where(rng.random(blocks[0].shape) < 0.05, blocks[1], blocks[0])
    for reach in (0, 1, 2.5):
        found = evaluation.boundary_f1(labels, truth, 4, tolerance=reach)
        expected = [slow_f1(labels, truth, label, reach) for label in range(3)]
        np.testing.assert_allclose(found[:3], expected)
        assert np.isnan(found[3])


def test_a_shift_within_the_tolerance_is_perfect_and_beyond_it_is_not():
    truth, labels = square(10, 10), square(10, 12)
    assert evaluation.boundary_f1(labels, truth, 2, tolerance=2)[1] == 1
    assert 0.3 < evaluation.boundary_f1(labels, truth, 2, tolerance=1)[1] < 0.7
    # 0.75 % of the diagonal of 400x300 is 3.75 pixels
    large = [square(100, 100 + shift, (300, 400), 80) for shift in (0, 3, 4)]
    f1 = [evaluation.boundary_f1(one, large[0], 2)[1] for one in large]
    assert f1[0] == f1[1] == 1 > f1[2]


def test_missing_and_invented_objects():
    empty = np.zeros((40, 50), int)
    np.testing.assert_array_equal(evaluation.boundary_f1(empty, square(5, 5), 3)[:2], [0, 0])
    assert np.isnan(evaluation.boundary_f1(square(5, 5), empty, 3)).all()


def test_a_boundary_amid_ignored_pixels_costs_nothing():
    truth = square(10, 10)
    truth[:, 35:] = 255
    labels = np.where(truth == 255, 0, truth)
    labels[20:30, 40:48] = 1  # out of reach of any true boundary, where nothing is known
    assert evaluation.boundary_f1(labels, truth, 2, tolerance=1)[1] == 1
    truth[truth == 255] = 0
    assert evaluation.boundary_f1(labels, truth, 2, tolerance=1)[1] < 1


@pytest.mark.parametrize(("shape", "tolerance"), [((40, 51), None), ((40, 50), -1)])
def test_boundary_f1_bad_arguments(shape, tolerance):
    with pytest.raises(ValueError, match="expected"):
        evaluation.boundary_f1(np.zeros(shape, int), square(5, 5), 2, tolerance)
