"""Labels and scores of a network on a data set."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np

from minideeplab.evaluation import confusion_matrix
from minideeplab.nn import Module


def predictions(
    net: Module,
    dataset: Any,
    count: int | None = None,
    executor: Executor | None = None,
    **options: Any,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (name, labels, truth), both (H, W), for the first ``count`` images (or all).

    ``executor`` distributes the images; ``options`` are those of ``segment``: crf, scales, ...
    """
    from minideeplab.inference import segment_all  # imports the CRF, which training does not need

    names, truths = dataset.names[:count], deque()

    def images() -> Iterator[np.ndarray]:
        for i in range(len(names)):
            image, truth = dataset[i]
            truths.append(truth)
            yield image

    for name, labels in zip(names, segment_all(images(), net, executor, **options), strict=True):
        yield name, labels, truths.popleft()


def evaluate(
    net: Module,
    dataset: Any,
    crf: bool = False,
    executor: Executor | None = None,
    **options: Any,
) -> np.ndarray:
    """Return one (C, C) confusion matrix over a data set, truth by row; 255 does not count."""
    total = np.zeros((net.num_classes, net.num_classes), np.int64)
    for _, labels, truth in predictions(net, dataset, executor=executor, crf=crf, **options):
        total += confusion_matrix(labels, truth, net.num_classes, dataset.ignore_index)
    return total
