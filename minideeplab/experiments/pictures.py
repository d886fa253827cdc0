"""Views of a data set: its pictures made smaller, or some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from minideeplab.inference import resize


class Scaled:
    """The same data set, smaller: pictures smoothed, labels of the nearest pixel."""

    def __init__(self, dataset: Any, scale: float) -> None:
        if not 0 < scale <= 1:
            raise ValueError(f"scale: {scale}, expected above 0, at most 1")
        self._dataset, self._scale = dataset, scale
        self.names, self.classes, self.palette = dataset.names, dataset.classes, dataset.palette
        self.ignore_index = dataset.ignore_index

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pair ``index``: image (h, w, 3) uint8, labels (h, w) uint8."""
        image, labels = self._dataset[index]
        if self._scale == 1:
            return image, labels
        small = resize(image, self._scale)
        nearest = Image.fromarray(labels).resize(small.shape[1::-1], Image.Resampling.NEAREST)
        return small, np.array(nearest)


class Subset:
    """Some of a data set's pictures, by their places in it."""

    def __init__(self, dataset: Any, places: Sequence[int]) -> None:
        self._dataset, self._places = dataset, places
        self.names = [dataset.names[i] for i in places]
        self.classes, self.palette = dataset.classes, dataset.palette
        self.ignore_index = dataset.ignore_index

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the ``index``-th of them: image (H, W, 3) uint8, labels (H, W) uint8."""
        return self._dataset[self._places[index]]
