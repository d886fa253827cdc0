"""Search for the bilateral kernel's weight and widths, coarse to fine, as DeepLab does.

The paper (section 4.1) fixes w2 = sigma_gamma = 3 and looks for the best w1, sigma_alpha and
sigma_beta on a small subset of the validation images: first on a grid, then on ever finer grids
around the best point. Every setting's mean IoU goes into a CSV file as soon as it is known, so an
interrupted search goes on where it stopped.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import astuple, dataclass, fields, replace
from functools import partial
from itertools import chain, groupby, product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from minideeplab import backends
from minideeplab.crf.refinement import CRFParameters, build_crf, check_grey_values
from minideeplab.evaluation import confusion_matrix, scores
from minideeplab.files import atomic_write

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]  # image, probabilities (C, H, W), truth


@dataclass(frozen=True)
class Grid:
    """Values to try on each axis, evenly spaced; by default the paper's ranges, coarsely."""

    w1: tuple[float, ...] = (3, 4.5, 6)
    sigma_alpha: tuple[float, ...] = (30, 65, 100)
    sigma_beta: tuple[float, ...] = (3, 4.5, 6)

    def settings(self, base: CRFParameters) -> list[CRFParameters]:
        """All combinations; those of the same widths are neighbours, to share their kernels."""
        combinations = product(self.sigma_alpha, self.sigma_beta, self.w1)
        return [replace(base, w1=w, sigma_alpha=a, sigma_beta=b) for a, b, w in combinations]

    def refined(self, best: CRFParameters) -> Grid:
        """The grid around ``best`` with half the spacing."""
        return Grid(
            _around(best.w1, self.w1),
            _around(best.sigma_alpha, self.sigma_alpha),
            _around(best.sigma_beta, self.sigma_beta),
        )


def _around(value: float, axis: tuple[float, ...]) -> tuple[float, ...]:
    if len(axis) == 1:
        return axis
    step = float(np.diff(np.sort(axis)).min()) / 2
    return tuple(v for v in (value - step, value, value + step) if v > 0)


@dataclass(frozen=True)
class SearchResult:
    """The best setting, its mean IoU, and the mean IoU of every setting of this search."""

    best: CRFParameters
    mean_iou: float
    tried: dict[CRFParameters, float]


def search(
    samples: Sequence[Sample],
    grid: Grid | None = None,
    rounds: int = 3,
    *,
    base: CRFParameters | None = None,
    iterations: int = 10,
    normalization: str = "symmetric",
    csv_path: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    progress: bool = True,
    ignore_index: int = 255,
) -> SearchResult:
    """Find the setting with the best mean IoU over all samples.

    Args:
        samples: (image (H, W, 3), probabilities (C, H, W), truth (H, W)) of the subset.
        grid: the coarse grid of the first round; each further round halves the spacing.
        rounds: number of grids.
        base: gives w2 and sigma_gamma, by default 3 and 3.
        iterations, normalization: of mean field.
        csv_path: file of results; settings that it lists already, for the same samples, are not
            computed again.
        executor: any ``concurrent.futures`` executor, to spread the images over.
        progress: show a progress bar on stderr.
        ignore_index: label of the truth that does not count.

    Raises ValueError for an empty subset, or a CSV file of something else.
    """
    if not samples or rounds < 1:
        raise ValueError(f"need samples and rounds, got {len(samples)} samples, {rounds} rounds")
    grid, base = grid or Grid(), base or CRFParameters(1, 1, 1)
    mode = f"{iterations} {normalization} {_fingerprint(samples, ignore_index)}"
    results = Results(csv_path, mode)
    measure = partial(
        _confusions,
        iterations=iterations,
        normalization=normalization,
        ignore_index=ignore_index,
        backend=backends.current_name(),
    )
    tried: dict[CRFParameters, float] = {}
    for number in range(1, rounds + 1):
        settings = grid.settings(base)
        new = [setting for setting in settings if setting not in results]
        with tqdm(total=len(new), desc=f"CRF search {number}", disable=not progress) as bar:
            for setting, mean_iou in _measure_all(measure, samples, new, executor):
                results.add(setting, mean_iou)
                bar.update()
        tried |= {setting: results[setting] for setting in settings}
        best = max(tried, key=tried.__getitem__)
        grid = grid.refined(best)
    return SearchResult(best, tried[best], tried)


def _fingerprint(samples: Sequence[Sample], ignore_index: int) -> str:
    """Return 16 hexadecimal digits that differ if an array of the samples does."""
    digest = hashlib.sha256(str(ignore_index).encode())
    for array in chain.from_iterable(samples):
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()[:16]


def _measure_all(
    measure: partial,
    samples: Sequence[Sample],
    settings: list[CRFParameters],
    executor: Executor | None,
) -> Iterator[tuple[CRFParameters, float]]:
    """Yield every setting with its mean IoU; one job is a sample and settings of equal widths."""
    spread = map if executor is None else executor.map
    for _, group in groupby(settings, key=lambda one: (one.sigma_alpha, one.sigma_beta)):
        group = list(group)
        confusions = sum(spread(measure, samples, [group] * len(samples)))  # (settings, C, C)
        for setting, confusion in zip(group, confusions, strict=True):
            yield setting, scores(confusion).mean_iou


def _confusions(
    sample: Sample,
    settings: list[CRFParameters],
    iterations: int,
    normalization: str,
    ignore_index: int,
    backend: str,
) -> np.ndarray:
    """Return the confusion matrices (settings, C, C) of one image for settings of equal widths."""
    image, probabilities, truth = sample
    with backends.use_backend(backend):
        crf = build_crf(
            check_grey_values(image), probabilities, settings[0], normalization=normalization
        )
        matrices = []
        for setting in settings:
            crf.set_compat(1, setting.w1)
            crf.inference(iterations)
            matrices.append(confusion_matrix(crf.map(), truth, crf.n_labels, ignore_index))
    return np.array(matrices)


COLUMNS = (*(field.name for field in fields(CRFParameters)), "mode", "mean_iou")
Row = tuple[CRFParameters, str, float]  # the second says what else the value depends on


class Results:
    """Mean IoU by setting, kept in a CSV file if a path is given.

    Args:
        path: the file, read if it exists.
        mode: what else the numbers depend on; rows of another mode are kept but not used.

    Raises ValueError if the file is not one of a CRF search.
    """

    def __init__(self, path: str | os.PathLike[str] | None, mode: str):
        self.path = None if path is None else Path(path)
        self.mode = mode
        self._rows = _read(self.path) if self.path is not None and self.path.exists() else []
        self._known = {setting: value for setting, of, value in self._rows if of == mode}

    def __contains__(self, setting: CRFParameters) -> bool:
        return setting in self._known

    def __getitem__(self, setting: CRFParameters) -> float:
        return self._known[setting]

    def add(self, setting: CRFParameters, mean_iou: float) -> None:
        """Keep a result, and write the file anew: whole at any moment, however it ends."""
        self._known[setting] = mean_iou
        self._rows.append((setting, self.mode, mean_iou))
        if self.path is not None:
            _write(self.path, self._rows)


def _read(path: Path) -> list[Row]:
    with open(path, newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    if not lines or tuple(lines[0]) != COLUMNS or any(len(x) != len(COLUMNS) for x in lines):
        raise ValueError(f"{path}: expected a CSV file of a CRF search with columns {COLUMNS}")
    return [(CRFParameters(*map(float, x[:-2])), x[-2], float(x[-1])) for x in lines[1:]]


def _write(path: Path, rows: list[Row]) -> None:
    with atomic_write(path) as whole, open(whole, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([*map(float, astuple(s)), mode, value] for s, mode, value in rows)
