"""Training batches: batch i depends on (seed, i) only; a thread prepares the next ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from minideeplab.data import augment
from minideeplab.models import Preprocessing
from minideeplab.training.config import Config

Batch = TypeVar("Batch")
SAMPLING, AUGMENTATION, DROPOUT = 1, 2, 3  # independent streams of one seed


def stream(seed: int, purpose: int, index: int) -> np.random.Generator:
    """Return the random generator for one purpose at one position of the run."""
    return np.random.default_rng([seed, purpose, index])


class PartOfBatch(np.random.Generator):
    """Random numbers of some rows of a batch of ``total``, equal to those of the whole batch."""

    def __init__(self, rng: np.random.Generator, rows: slice, total: int) -> None:
        super().__init__(rng.bit_generator)
        self._rows, self._total = rows, total

    def random(self, size: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
        """Return this part's rows, (size), of numbers drawn for the whole batch."""
        return super().random((self._total, *size[1:]), dtype)[self._rows]


class Batches:
    """``batches(i) -> (images (N, 3, H, W) float32, labels (N, H, W) int64)``.

    Epochs are consecutive permutations of the data set; a batch may span two.
    """

    def __init__(self, dataset: Any, preprocessing: Preprocessing, config: Config) -> None:
        if len(dataset) == 0:
            raise ValueError("dataset: is empty")
        self.dataset, self.preprocessing, self.config = dataset, preprocessing, config

    def index(self, position: int) -> int:
        """Return the index in the data set of the ``position``-th image of the run."""
        epoch, place = divmod(position, len(self.dataset))
        order = stream(self.config.seed, SAMPLING, epoch).permutation(len(self.dataset))
        return int(order[place])

    def __call__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Return batch ``i``: augmented, preprocessed images and their labels."""
        config, rng = self.config, stream(self.config.seed, AUGMENTATION, i)
        fill = tuple(round(channel) for channel in self.preprocessing.fill)
        images, labels = [], []
        for position in range(i * config.batch_size, (i + 1) * config.batch_size):
            image, truth = augment(
                *self.dataset[self.index(position)],
                rng,
                crop=config.crop,
                scales=config.scales,
                mirror=config.mirror,
                jitter=config.jitter,
                fill=fill,
            )
            images.append(self.preprocessing(image))
            labels.append(truth)
        return np.stack(images), np.stack(labels).astype(np.int64)


def prefetch(
    make: Callable[[int], Batch], start: int, stop: int, ahead: int = 2
) -> Iterator[Batch]:
    """Yield make(start), ..., make(stop - 1), with the next ``ahead`` computed in a thread."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = deque(pool.submit(make, i) for i in range(start, min(start + ahead, stop)))
        try:
            for i in range(start + ahead, stop + ahead):
                batch = waiting.popleft().result()
                if i < stop:
                    waiting.append(pool.submit(make, i))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)
