"""Scores of a data set: one confusion matrix over all images, and scores of each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minideeplab.evaluation.boundaries import boundary_f1, trimap
from minideeplab.evaluation.confusion import Scores, confusion_matrix, scores


@dataclass(frozen=True)
class ImageScore:
    """Scores of one image, in 0..1; ``index`` is its position in the data set."""

    index: int
    name: str
    mean_iou: float
    pixel_accuracy: float


class Tally:
    """Sums confusion matrices over images: ``add`` each image once, then read the scores.

    Args:
        num_classes: C.
        trimaps: widths of the bands in which accuracy is counted, in pixels.
        around: where bands start; see ``trimap``.
        boundaries: whether to compute the boundary F1, which takes most of the time here.
        ignore_index: the label of the truth that does not count.

    Attributes:
        confusion: (C, C) int64, truth by row.
        bands: (T, C, C) int64, the confusion within each trimap.
        images: a ``ImageScore`` each, in the order in which they were added.
    """

    def __init__(
        self,
        num_classes: int,
        trimaps: Sequence[int] = (),
        around: str = "ignored",
        boundaries: bool = False,
        ignore_index: int = 255,
    ) -> None:
        self.num_classes, self.trimaps, self.around = num_classes, tuple(trimaps), around
        self.ignore_index = ignore_index
        self.confusion = np.zeros((num_classes, num_classes), np.int64)
        self.bands = np.zeros((len(self.trimaps), num_classes, num_classes), np.int64)
        self.images: list[ImageScore] = []
        self._boundaries = boundaries
        self._outlines = np.zeros((2, num_classes))  # sums of F1, and images they are of

    def add(self, name: str, labels: np.ndarray, truth: np.ndarray) -> None:
        """Count an image: labels and truth (H, W) integers."""
        matrix = confusion_matrix(labels, truth, self.num_classes, self.ignore_index)
        self.confusion += matrix
        for band, width in zip(self.bands, self.trimaps, strict=True):
            inside = trimap(truth, width, self.around, self.ignore_index)
            band += confusion_matrix(
                labels[inside], truth[inside], self.num_classes, self.ignore_index
            )
        if self._boundaries:
            f1 = boundary_f1(labels, truth, self.num_classes, ignore_index=self.ignore_index)
            self._outlines += np.stack([np.nan_to_num(f1), ~np.isnan(f1)])
        own = scores(matrix)
        self.images.append(ImageScore(len(self.images), name, own.mean_iou, own.pixel_accuracy))

    @property
    def scores(self) -> Scores:
        """The scores of all images together."""
        return scores(self.confusion)

    @property
    def boundary_f1(self) -> np.ndarray:
        """(C,) F1 averaged over the images with the class; NaN where there is none."""
        total, count = self._outlines
        return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)

    def worst_first(self) -> list[ImageScore]:
        """Return the images by mean IoU, the worst first; those with nothing to score last."""
        return sorted(self.images, key=lambda one: (np.isnan(one.mean_iou), one.mean_iou))
