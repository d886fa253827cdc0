"""Scores against hand-made numbers and a slow, obvious count."""

from __future__ import annotations

import numpy as np
import pytest

from minideeplab import evaluation


def test_confusion_matrix_against_a_loop():
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 2, 3, 255], (13, 17)).astype(np.uint8)
    labels = rng.integers(0, 4, truth.shape)
    expected = np.zeros((4, 4), np.int64)
    for t, p in zip(truth.ravel(), labels.ravel(), strict=True):
        if t != 255:
            expected[t, p] += 1
    result = evaluation.confusion_matrix(labels, truth, 4)
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == np.int64


def test_an_ignored_prediction_is_wrong_only_where_the_truth_counts():
    with pytest.raises(ValueError, match=r"labels: expected classes 0..1, found 255"):
        evaluation.confusion_matrix(np.array([255]), np.array([1]), 2)
    assert evaluation.confusion_matrix(np.array([255]), np.array([255]), 2).sum() == 0


@pytest.mark.parametrize(
    ("labels", "truth", "error", "message"),
    [
        (np.zeros(3, int), np.zeros(4, int), ValueError, "shape of truth"),
        (np.zeros(3), np.zeros(3, int), TypeError, "labels: expected integers"),
        (np.zeros(3, int), np.full(3, 7), ValueError, "truth: .*found 7"),
        (np.full(3, -1), np.zeros(3, int), ValueError, "labels: .*found -1"),
    ],
)
def test_bad_input_is_named(labels, truth, error, message):
    with pytest.raises(error, match=message):
        evaluation.confusion_matrix(labels, truth, 2)


def test_scores_by_hand():
    s = evaluation.scores(np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]]))
    np.testing.assert_allclose(s.iou, [3 / 6, 4 / 7, np.nan])
    assert s.mean_iou == pytest.approx((3 / 6 + 4 / 7) / 2)
    assert s.pixel_accuracy == pytest.approx(7 / 10)
    assert s.class_accuracy == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert s.frequency_weighted_iou == pytest.approx((4 * 3 / 6 + 6 * 4 / 7) / 10)
    np.testing.assert_allclose(s.precision, [3 / 5, 4 / 5, np.nan])
    np.testing.assert_allclose(s.recall, [3 / 4, 4 / 6, np.nan])
    np.testing.assert_allclose(s.dice, [6 / 9, 8 / 11, np.nan])


def test_a_class_only_predicted_counts_as_zero():
    s = evaluation.scores(np.array([[3, 1], [0, 0]]))
    np.testing.assert_allclose(s.iou, [0.75, 0])
    assert s.mean_iou == pytest.approx(0.375) and s.class_accuracy == pytest.approx(0.75)


def test_nothing_counted_is_nan_without_a_warning(recwarn):
    s = evaluation.scores(np.zeros((2, 2), int))
    assert np.isnan(s.mean_iou) and np.isnan(s.pixel_accuracy) and not recwarn
    with pytest.raises(ValueError, match="square"):
        evaluation.scores(np.zeros((2, 3), int))


def test_table_shows_undefined_classes_as_a_dash():
    table = evaluation.format_table(
        evaluation.scores(np.array([[3, 1], [0, 0]]) * [[1, 0], [0, 0]]), ["sky", "a long name"]
    )
    lines = [line.split() for line in table.splitlines()]
    assert ["sky", *["100.00"] * 4] in lines and ["a", "long", "name", *"----"] in lines
    assert ["mean", "IoU", "100.00"] in lines
