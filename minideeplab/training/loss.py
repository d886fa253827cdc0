"""The loss of a segmentation network, and class weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab import functional as F
from minideeplab.tensor import Tensor

IGNORE = 255


def segmentation_loss(
    scores: Tensor,
    labels: np.ndarray,
    class_weights: np.ndarray | None = None,
    at: str = "full",
    whole: np.ndarray | None = None,
) -> Tensor:
    """Return the softmax cross-entropy, averaged over the pixels whose label is not 255.

    Args:
        scores: (N, C, h, w).
        labels: (N, H, W) integers.
        class_weights: (C,) or None for equal weights.
        at: "full": scores are upsampled bilinearly (align_corners) to (H, W); "stride": labels
            are subsampled to (h, w), what the authors' label_shrink does when H = 8(h-1) + 1.
        whole: (M, H, W), the labels of the batch of which these images are a part. The result
            is then the part's share of the batch's loss: shares add up to it.

    Returns:
        A scalar; zero when every pixel is ignored.

    Raises:
        ValueError: "stride" with sizes that are not on one grid.
    """
    if at == "stride":
        labels = subsample(labels, scores.shape[2:])
        whole = None if whole is None else subsample(whole, scores.shape[2:])
    else:
        scores = F.interpolate(scores, size=labels.shape[1:], mode="bilinear", align_corners=True)
    if not (labels != IGNORE).any():
        return (scores * 0.0).sum()
    if class_weights is not None:
        class_weights = class_weights.astype(scores.dtype)
    loss = F.cross_entropy(scores, labels, weight=class_weights, ignore_index=IGNORE)
    if whole is None:
        return loss
    return loss * (_total_weight(labels, class_weights) / _total_weight(whole, class_weights))


def _total_weight(labels: np.ndarray, class_weights: np.ndarray | None) -> float:
    """Return what the average over these pixels divides by."""
    counted = labels[labels != IGNORE]
    return float(len(counted) if class_weights is None else class_weights[counted].sum())


def subsample(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return labels on a grid that shares the image's corners: (N, H, W) -> (N, *size)."""
    height, width = (length - 1 for length in labels.shape[1:])
    rows, columns = (max(1, length - 1) for length in size)
    if height % rows or width % columns:
        raise ValueError(
            f"labels: {labels.shape[1:]} cannot be subsampled to {tuple(size)}; crops of 8k+1 can"
        )
    return np.ascontiguousarray(labels[:, :: height // rows, :: width // columns])


def class_frequencies(dataset: Any, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return label counts of a data set.

    They are (pixels of each class, pixels of the images in which the class occurs), both (C,).
    """
    pixels, around = np.zeros(num_classes), np.zeros(num_classes)
    for i in range(len(dataset)):
        labels = dataset[i][1]
        counts = np.bincount(labels[labels != IGNORE], minlength=num_classes)
        if len(counts) > num_classes:
            raise ValueError(
                f"dataset: image {i} has label {len(counts) - 1}, expected below {num_classes}"
            )
        pixels += counts
        around += counts.sum() * (counts > 0)
    return pixels, around


def class_weights(kind: str, dataset: Any, num_classes: int) -> np.ndarray | None:
    """Return weights of rare classes, (C,) float64 with mean 1 over the classes that occur.

    kind: "none" gives None; "log" is 1 / ln(1.02 + p) with p the class's share of pixels (ENet,
    arXiv 1606.02147); "root" is the square root of that, which gives a better mean IoU, because it
    also counts pixels taken from other classes; "median" is median(f) / f with f its share in the
    images where it occurs (SegNet, arXiv 1511.00561). Classes that never occur weigh 1.
    """
    if kind == "none":
        return None
    pixels, around = class_frequencies(dataset, num_classes)
    present = pixels > 0
    if not present.any():
        raise ValueError("dataset: has no labelled pixel")
    weights = np.ones(num_classes)
    if kind in ("log", "root"):
        weights[present] = 1 / np.log(1.02 + pixels[present] / pixels.sum())
        weights = np.sqrt(weights) if kind == "root" else weights
    elif kind == "median":
        share = pixels[present] / around[present]
        weights[present] = np.median(share) / share
    else:
        raise ValueError(f"kind: {kind!r}, expected 'none', 'root', 'log' or 'median'")
    weights[present] /= weights[present].mean()
    return weights
