"""The loss on several sizes of an image (section 4.1.2), as for the authors' ResNet-101.

The same network scores the crops at 1, 0.75 and 0.5 of their size. The scores are interpolated to
the largest grid and fused by their maximum. The losses of the fused scores and of each size's
scores are added.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

from minideeplab import functional as F
from minideeplab.nn import Module
from minideeplab.tensor import Tensor
from minideeplab.training.loss import segmentation_loss

SCALES = (1.0, 0.75, 0.5)


def fused_scores(net: Module, images: np.ndarray) -> tuple[Tensor, list[Tensor]]:
    """Return the fused scores (N, C, h, w) and those of each of ``SCALES``, on their own grids.

    images: (N, 3, H, W) preprocessed, of 8k+1. Sizes follow Caffe's Interp layer: 321 becomes 241
    and 161, and corners are aligned.
    """
    height, width = images.shape[2:]
    views = []
    for scale in SCALES:
        size = tuple(round((length - 1) * scale) + 1 for length in (height, width))
        smaller = images
        if scale != 1:
            smaller = F.interpolate(images, size=size, mode="bilinear", align_corners=True)
        views.append(net(smaller))
    grid = views[0].shape[2:]
    return reduce(F.maximum, (_on_grid(view, grid) for view in views)), views


def multi_scale_loss(
    net: Module,
    images: np.ndarray,
    labels: np.ndarray,
    class_weights: np.ndarray | None = None,
    at: str = "full",
    whole: np.ndarray | None = None,
) -> Tensor:
    """Return the sum of the losses of all scores; arguments as in ``segmentation_loss``.

    With ``at="stride"`` the loss of a size is computed on its own grid if the labels can be
    subsampled to it (0.5 of 321: every 16th label), else on the largest grid (0.75), as in the
    authors' network.
    """
    fused, views = fused_scores(net, images)
    if at == "stride":
        views = [
            view if _fits(labels.shape[1:], view.shape[2:]) else _on_grid(view, fused.shape[2:])
            for view in views
        ]
    losses = [
        segmentation_loss(scores, labels, class_weights, at, whole) for scores in (fused, *views)
    ]
    return sum(losses[1:], losses[0])


def _on_grid(scores: Tensor, grid: tuple[int, int]) -> Tensor:
    if scores.shape[2:] == grid:
        return scores
    return F.interpolate(scores, size=grid, mode="bilinear", align_corners=True)


def _fits(labels: tuple[int, int], grid: tuple[int, int]) -> bool:
    pairs = zip(labels, grid, strict=True)
    return all((length - 1) % max(1, points - 1) == 0 for length, points in pairs)
