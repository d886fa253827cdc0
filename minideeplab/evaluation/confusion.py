"""The confusion matrix, intersection over union, and accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scores:
    """Scores computed from a confusion matrix, each in 0..1.

    Attributes:
        pixel_accuracy: share of correct pixels.
        class_accuracy: recall, averaged over the classes that occur in the truth.
        iou: (C,) intersection over union; NaN for a class neither in the truth nor predicted.
        mean_iou: average of ``iou`` without the NaNs, PASCAL VOC's measure.
        frequency_weighted_iou: average of ``iou`` weighted by how often a class occurs.
        precision: (C,) share of the pixels labelled as the class that are; NaN without any.
        recall: (C,) share of the class's pixels that are labelled so; NaN without any.
        dice: (C,) harmonic mean of the two, 2 IoU / (1 + IoU): the F1 score of pixels.
    """

    pixel_accuracy: float
    class_accuracy: float
    iou: np.ndarray
    mean_iou: float
    frequency_weighted_iou: float
    precision: np.ndarray
    recall: np.ndarray
    dice: np.ndarray


def confusion_matrix(
    labels: np.ndarray, truth: np.ndarray, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Count how often each class of the truth was labelled as each class.

    Matrices of several images add up; scores of a data set come from one matrix over all of it.

    Args:
        labels: integers of any shape, the prediction.
        truth: integers of the same shape; ``ignore_index`` does not count.
        num_classes: C.
        ignore_index: the label of the truth to leave out.

    Returns:
        (C, C) int64, truth by row, prediction by column.

    Raises:
        TypeError: labels that are not integers.
        ValueError: shapes that differ, or a label outside 0..C-1 where it counts.
    """
    labels, truth = np.asarray(labels), np.asarray(truth)
    for name, array in (("labels", labels), ("truth", truth)):
        if array.dtype.kind not in "iub":
            raise TypeError(f"{name}: expected integers, got {array.dtype}")
    if labels.shape != truth.shape:
        raise ValueError(f"labels: expected the shape of truth {truth.shape}, got {labels.shape}")
    counts = truth != ignore_index
    rows = _class_numbers(truth[counts], "truth", num_classes)
    columns = _class_numbers(labels[counts], "labels", num_classes)
    cells = np.bincount(rows * num_classes + columns, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def _class_numbers(values: np.ndarray, name: str, num_classes: int) -> np.ndarray:
    if values.size and (values.min() < 0 or values.max() >= num_classes):
        worst = values.max() if values.max() >= num_classes else values.min()
        raise ValueError(f"{name}: expected classes 0..{num_classes - 1}, found {worst}")
    return values.astype(np.int64)


def scores(confusion: np.ndarray) -> Scores:
    """Compute all scores of a (C, C) confusion matrix, truth by row.

    Undefined scores, such as those of an empty matrix, are NaN.

    Raises:
        ValueError: not a square matrix.
    """
    confusion = np.asarray(confusion)
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ValueError(f"confusion: expected a square matrix, got shape {confusion.shape}")
    right = np.diag(confusion).astype(np.float64)
    in_truth, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    iou = _ratio(right, in_truth + predicted - right)
    seen = in_truth > 0
    return Scores(
        pixel_accuracy=float(_ratio(right.sum(), in_truth.sum())),
        class_accuracy=_mean(_ratio(right, in_truth)),
        iou=iou,
        mean_iou=_mean(iou),
        frequency_weighted_iou=float(_ratio(in_truth[seen] @ iou[seen], in_truth.sum())),
        precision=_ratio(right, predicted),
        recall=_ratio(right, in_truth),
        dice=_ratio(2 * right, in_truth + predicted),
    )


def _ratio(part: np.ndarray | float, whole: np.ndarray | float) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def _mean(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def format_table(result: Scores, classes: Sequence[str]) -> str:
    """Return the scores as text: one line per class, then the averages, in per cent."""
    averages = [
        ("mean IoU", result.mean_iou),
        ("pixel accuracy", result.pixel_accuracy),
        ("class accuracy", result.class_accuracy),
        ("frequency-weighted IoU", result.frequency_weighted_iou),
    ]
    columns = (result.iou, result.precision, result.recall, result.dice)
    width = max(len(name) for name in (*classes, *(name for name, _ in averages)))
    head = f"{'class':<{width}}   IoU %  precision  recall    Dice"
    rows = [
        f"{name:<{width}}  {_percent(iou)}     {_percent(precision)}  {_percent(recall)}  "
        f"{_percent(dice)}"
        for name, iou, precision, recall, dice in zip(classes, *columns, strict=True)
    ]
    rule = "-" * len(head)
    lines = [f"{name:<{width}}  {_percent(value)}" for name, value in averages]
    return "\n".join([head, rule, *rows, rule, *lines])


def _percent(value: float) -> str:
    return "     -" if np.isnan(value) else f"{100 * value:6.2f}"
