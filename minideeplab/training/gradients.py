"""The loss of a batch and its gradients, or of some of its images."""

from __future__ import annotations

import numpy as np

from minideeplab import functional as F
from minideeplab.nn import Module
from minideeplab.tensor import Tensor
from minideeplab.training.batches import DROPOUT, PartOfBatch, stream
from minideeplab.training.config import Config
from minideeplab.training.loss import segmentation_loss
from minideeplab.training.multiscale import multi_scale_loss

Batch = tuple[np.ndarray, np.ndarray]  # images (N, 3, H, W) float32, labels (N, H, W) int64


def batch_loss(
    net: Module,
    images: np.ndarray,
    labels: np.ndarray,
    class_weights: np.ndarray | None,
    config: Config,
    whole: np.ndarray | None = None,
) -> Tensor:
    """Return the loss chosen by ``config``; other arguments as in ``segmentation_loss``."""
    if config.multi_scale:
        return multi_scale_loss(net, images, labels, class_weights, config.loss_at, whole)
    return segmentation_loss(net(images), labels, class_weights, config.loss_at, whole)


def accumulate(
    net: Module,
    batches: list[Batch],
    class_weights: np.ndarray | None,
    config: Config,
    iteration: int,
    rows: slice | None = None,
) -> float:
    """Store the averaged gradients of ``batches`` in the parameters of ``net``; return the loss.

    With ``rows`` they are the share of these images in the loss and gradients of the batches.
    """
    net.zero_grad()
    total = 0.0
    for k, (images, labels) in enumerate(batches):
        rng, whole = stream(config.seed, DROPOUT, iteration * config.iter_size + k), None
        if rows is not None:
            rng, whole = PartOfBatch(rng, rows, len(images)), labels
            images, labels = images[rows], labels[rows]
        with F.dropout_rng(rng):
            loss = batch_loss(net, images, labels, class_weights, config, whole)
        loss = loss * (1 / len(batches))
        total += loss.item()
        loss.backward()
    return total
