"""Views of a data set: kept in memory, with smaller images, or a subset of the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

Pair = tuple[np.ndarray, np.ndarray]  # image (H, W, 3) uint8, labels (H, W) uint8


class View:
    """A data set with the attributes of another one; subclasses change ``__getitem__``."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # not set yet while being unpickled
            raise AttributeError(name)
        return getattr(self._dataset, name)


class Cached(View):
    """The same data set; up to ``megabytes`` of its pairs stay in memory, read-only."""

    def __init__(self, dataset: Any, megabytes: float = 512) -> None:
        super().__init__(dataset)
        self._free = megabytes * 1e6
        self._pairs: dict[int, Pair] = {}

    def __getitem__(self, index: int) -> Pair:
        """Return pair ``index``: image (H, W, 3) uint8, labels (H, W) uint8."""
        if index in self._pairs:
            return self._pairs[index]
        image, labels = self._dataset[index]
        if image.nbytes + labels.nbytes <= self._free:
            self._free -= image.nbytes + labels.nbytes
            image.flags.writeable = labels.flags.writeable = False
            self._pairs[index] = image, labels
        return image, labels


class Scaled(View):
    """The same data set at ``scale`` times its size: images smoothed, labels by nearest pixel."""

    def __init__(self, dataset: Any, scale: float) -> None:
        if not 0 < scale <= 1:
            raise ValueError(f"scale: {scale}, expected above 0, at most 1")
        super().__init__(dataset)
        self._scale = scale

    def __getitem__(self, index: int) -> Pair:
        """Return pair ``index``: image (h, w, 3) uint8, labels (h, w) uint8."""
        image, labels = self._dataset[index]
        if self._scale == 1:
            return image, labels
        size = tuple(max(1, round(length * self._scale)) for length in labels.shape[::-1])
        small = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
        nearest = Image.fromarray(labels).resize(size, Image.Resampling.NEAREST)
        return np.array(small), np.array(nearest)


class Subset(View):
    """The pairs of a data set at the positions ``indices``."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        super().__init__(dataset)
        self._indices = indices
        self.names = [dataset.names[i] for i in indices]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Pair:
        """Return the ``index``-th of them: image (H, W, 3) uint8, labels (H, W) uint8."""
        return self._dataset[self._indices[index]]
