"""Keeps a data set in memory, for runs that see each picture many times."""

from __future__ import annotations

from typing import Any

import numpy as np


class Cached:
    """The same data set, each pair read or drawn once, as long as ``megabytes`` last.

    Pairs must not be written to. All other attributes are the data set's.
    """

    def __init__(self, dataset: Any, megabytes: float = 512) -> None:
        self._dataset, self._room = dataset, megabytes * 1e6
        self._pairs: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self._dataset)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # not there yet while being unpickled
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pair ``index``: image (H, W, 3) uint8, labels (H, W) uint8."""
        if index in self._pairs:
            return self._pairs[index]
        image, labels = self._dataset[index]
        if image.nbytes + labels.nbytes <= self._room:
            self._room -= image.nbytes + labels.nbytes
            image.flags.writeable = labels.flags.writeable = False
            self._pairs[index] = image, labels
        return image, labels
