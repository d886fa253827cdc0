"""Scores near object boundaries: trimaps and the boundary F1 score."""

from __future__ import annotations

import math

import numpy as np

DEFAULT_TOLERANCE = 0.0075  # of the image's diagonal


def trimap(
    truth: np.ndarray, width: int, around: str = "ignored", ignore_index: int = 255
) -> np.ndarray:
    """Return a mask of the pixels near object boundaries (paper, Fig. 10).

    As in the authors' evaluation, the band holds what a square of side ``2 * width + 1`` reaches
    from the ignored pixels, which on PASCAL VOC run along the objects; ignored pixels themselves
    do not count. Where ignored regions are not boundaries, as on CamVid, the band starts from the
    pixels whose right or lower neighbour has another label, on both sides.

    Args:
        truth: (H, W) labels.
        width: reach of the band in pixels, 1 or more; the paper goes up to 40.
        around: ``"ignored"`` or ``"boundaries"``.
        ignore_index: the label that does not count.

    Returns:
        (H, W) bool.

    Raises:
        ValueError: an argument out of its range.
    """
    from scipy.ndimage import maximum_filter1d

    truth = np.asarray(truth)
    if truth.ndim != 2:
        raise ValueError(f"truth: expected (H, W), got shape {truth.shape}")
    if width < 1:
        raise ValueError(f"width: expected 1 or more, got {width}")
    if around not in ("ignored", "boundaries"):
        raise ValueError(f"around: expected 'ignored' or 'boundaries', got {around!r}")
    start = truth == ignore_index if around == "ignored" else _boundaries(truth)
    band = start.astype(np.uint8)
    for axis in (0, 1):
        band = maximum_filter1d(band, 2 * width + 1, axis=axis, mode="constant")
    return (band > 0) & (truth != ignore_index)


def _boundaries(truth: np.ndarray) -> np.ndarray:
    edge = np.zeros(truth.shape, dtype=bool)
    across, down = truth[:, 1:] != truth[:, :-1], truth[1:] != truth[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def boundary_f1(
    labels: np.ndarray,
    truth: np.ndarray,
    num_classes: int,
    tolerance: float | None = None,
    ignore_index: int = 255,
) -> np.ndarray:
    """Return the boundary F1 score of each class in one image (BF score).

    Csurka, Larlus and Perronnin (BMVC 2013): the F1 of precision, the share of the labelled
    boundary that lies within ``tolerance`` of the true one, and recall, the share of the true
    boundary that lies within ``tolerance`` of the labelled one. A boundary pixel has a neighbour
    above, below, left or right of another label. A labelled boundary among ignored pixels that is
    not near a true one does not count.

    Args:
        labels: (H, W) integers, the prediction.
        truth: (H, W) integers; ``ignore_index`` does not count.
        num_classes: C.
        tolerance: in pixels; None for the authors' 0.75 % of the image's diagonal.
        ignore_index: the label of the truth to leave out.

    Returns:
        (C,) float64 in 0..1; NaN for classes without a boundary in the truth.

    Raises:
        ValueError: shapes that differ or are not (H, W), or a negative tolerance.
    """
    labels, truth = np.asarray(labels), np.asarray(truth)
    if truth.ndim != 2 or labels.shape != truth.shape:
        raise ValueError(
            f"labels: expected (H, W) as truth {truth.shape}, got shape {labels.shape}"
        )
    reach = DEFAULT_TOLERANCE * math.hypot(*truth.shape) if tolerance is None else tolerance
    if not reach >= 0:
        raise ValueError(f"tolerance: expected 0 or more, got {tolerance}")
    true_edge, labelled_edge = _boundaries(truth), _boundaries(labels)
    counts = truth != ignore_index
    result = np.full(num_classes, np.nan)
    for label in range(num_classes):
        outline = true_edge & (truth == label)
        if outline.any():
            drawn = labelled_edge & (labels == label)
            result[label] = _f1(drawn, outline, counts, reach)
    return result


def _f1(drawn: np.ndarray, outline: np.ndarray, counts: np.ndarray, reach: float) -> float:
    """Return the F1 of one class's boundaries (H, W) bool; ``outline`` is not empty."""
    from scipy.ndimage import distance_transform_edt

    if not drawn.any():
        return 0.0
    near_outline = distance_transform_edt(~outline) <= reach
    judged = drawn & (counts | near_outline)
    right = (judged & near_outline).sum()
    recall = (distance_transform_edt(~drawn)[outline] <= reach).mean()
    precision = right / max(1, judged.sum())
    return float(2 * precision * recall / (precision + recall)) if right else 0.0
