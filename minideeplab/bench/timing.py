"""Interleaved timing, and the GFLOP/s of matrix products on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

REST = 0.02  # seconds between two measurements


@dataclass(frozen=True)
class Timing:
    """Seconds of each run of one competitor, in the order of the rounds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the runs."""
        return statistics.median(self.seconds)

    def times_faster_than(self, other: Timing) -> float:
        """Return the median over the rounds of the other's seconds divided by ours."""
        return statistics.median(b / a for a, b in zip(self.seconds, other.seconds, strict=True))


def interleaved(
    competitors: Mapping[str, Callable[[], object]], rounds: int, rest: float = REST
) -> dict[str, Timing]:
    """Run each competitor once to warm up, then all of them in turn, ``rounds`` times.

    ``rest`` is a pause in seconds before each run: OpenMP's worker threads spin for some
    milliseconds after their work and would take a core from the next competitor.
    """
    if rounds < 1:
        raise ValueError(f"rounds: {rounds}, expected at least 1")
    seconds: dict[str, list[float]] = {name: [] for name in competitors}
    for run in competitors.values():
        run()
    for _ in range(rounds):
        for name, run in competitors.items():
            time.sleep(rest)
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: Timing(tuple(runs)) for name, runs in seconds.items()}


def training_step(
    zero_grad: Callable[[], Any], loss: Callable[[], Any], update: Callable[[], Any]
) -> Callable[[], None]:
    """Return a function that runs one training step, ours or torch's."""

    def step() -> None:
        zero_grad()
        loss().backward()
        update()

    return step


def sgemm_limit(size: int = 1536, rounds: int = 5) -> float:
    """Return the float32 GFLOP/s of NumPy's matrix product on all cores.

    Its BLAS selects kernels by processor name and may not use the widest vectors of a new one.
    """
    a = np.ones((size, size), np.float32)
    out = np.empty_like(a)
    return 2 * size**3 / _best(lambda: np.matmul(a, a, out=out), rounds) / 1e9


def product_limit(points: int = 4, size: int = 256, rounds: int = 20) -> float:
    """Return the same for the matmul of our convolutions, on matrices that are in cache."""
    from minideeplab.backends.numba_cpu.convolution.packing import packed
    from minideeplab.backends.numba_cpu.convolution.winograd_steps import multiply_points
    from minideeplab.backends.numba_cpu.runtime.parallel import parallel_range

    a, b, c = (packed(points**2, size, size) for _ in range(3))
    for matrix in (a, b, c):
        matrix.data[:] = 1

    def run() -> None:
        parallel_range(multiply_points, points**2, a, b, c, size, step=1)

    return 2 * points**2 * size**3 / _best(run, rounds) / 1e9


def _best(run: Callable[[], object], rounds: int) -> float:
    return min(interleaved({"": run}, rounds, rest=0)[""].seconds)
