"""Scores of predicted labels: confusion matrix, IoU, accuracy, trimaps, boundary F1, failures."""

from __future__ import annotations

from minideeplab.evaluation.boundaries import boundary_f1, trimap
from minideeplab.evaluation.confusion import Scores, confusion_matrix, format_table, scores
from minideeplab.evaluation.gallery import failure_gallery, legend
from minideeplab.evaluation.tally import ImageScore, Tally

__all__ = [
    "ImageScore", "Scores", "Tally", "boundary_f1", "confusion_matrix", "failure_gallery",
    "format_table", "legend", "scores", "trimap",
]  # fmt: skip
