"""Scoring a network on a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minideeplab.evaluation import confusion_matrix
from minideeplab.nn import Module


def predictions(
    net: Module, dataset: Any, count: int | None = None, **options: Any
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (name, labels, truth), both (H, W), for the first ``count`` pictures (or all).

    ``options`` go to ``segment``: crf, scales, ...
    """
    from minideeplab.inference import segment  # brings the CRF, which training does without

    for i, name in enumerate(dataset.names[:count]):
        image, truth = dataset[i]
        labels, _ = segment(image, net, **options)
        yield name, labels, truth


def evaluate(net: Module, dataset: Any, crf: bool = False, **options: Any) -> np.ndarray:
    """Return one (C, C) confusion matrix over a data set, truth by row; 255 does not count."""
    total = np.zeros((net.num_classes, net.num_classes), np.int64)
    for _, labels, truth in predictions(net, dataset, crf=crf, **options):
        total += confusion_matrix(labels, truth, net.num_classes, dataset.ignore_index)
    return total
