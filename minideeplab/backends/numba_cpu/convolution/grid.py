"""The tiles that cover the outputs of a convolution, and how they are cut into tasks.

Atrous convolution is dense convolution on de-interleaved maps (DeepLab, section 3.1). With dilation
d, outputs whose positions have the same remainder modulo d read only inputs that are a multiple of
d apart. The map consists of d * d phases, and on each the convolution is an ordinary one.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from minideeplab.backends.numba_cpu.convolution.microkernel import ROWS
from minideeplab.backends.numba_cpu.convolution.packing import Packed, packed
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.tiles import TiledImages
from minideeplab.backends.numba_cpu.convolution.transforms import M, N
from minideeplab.backends.numba_cpu.runtime.parallel import spans
from minideeplab.backends.numba_cpu.runtime.scratch import per_thread_scratch
from minideeplab.backends.numba_cpu.simd import CHANNELS

BLOCKS = 16  # fewest blocks, so that threads end at about the same time


@lru_cache(maxsize=256)  # a network computes the same layers again and again
def grid_of(problem: Problem) -> Grid:
    """Return the grid of a problem."""
    return Grid(problem)


class Grid:
    """Tiles of M x M outputs, numbered by image, row and column."""

    def __init__(self, problem: Problem):
        self.problem = problem
        self.tops, self.lefts = (
            np.concatenate([np.arange(phase, size, step * M) for phase in range(step)])
            for size, step in zip(problem.out, problem.dilation, strict=True)
        )
        self.count = problem.batch * len(self.tops) * len(self.lefts)
        self.cuts: dict[tuple[int, int, int], np.ndarray] = {}

    def packed(self, name: str, channels: int, indices: int, *, per_thread: bool = False) -> Packed:
        """Return scratch for ``indices`` transformed tiles or filters."""
        return packed(N**2, channels, indices, name, per_thread)

    def chunks(self, size: int) -> list[tuple[int, int]]:
        """Cut the tiles into parts whose transformed inputs have at most ``size`` bytes."""
        return spans(self.count, self._most(size, self.count, self.problem.channels))

    def blocks(self, size: int, first: int = 0, last: int | None = None) -> np.ndarray:
        """Cut tiles [first, last) into blocks for the threads, of at most ``size`` bytes.

        Return (count, 2): the first tile of each, and the first one after it.
        """
        key = size, first, self.count if last is None else last
        if key not in self.cuts:
            self.cuts[key] = self._cut(*key)
        return self.cuts[key]

    def _cut(self, size: int, first: int, last: int) -> np.ndarray:
        tiles, channels = last - first, self.problem.channels + self.problem.filters
        step = min(self._most(size, tiles, channels), max(1, tiles // (BLOCKS * ROWS)) * ROWS)
        return np.array(spans(tiles, step), np.int64).reshape(-1, 2) + first

    def _most(self, size: int, tiles: int, channels: int) -> int:
        """Return the size of about equal parts: full blocks of rows, ``size`` bytes at most."""
        each = N**2 * channels * 4
        count = max(1, -(-tiles // max(ROWS, size // each)))
        return max(ROWS, -(-tiles // count // ROWS) * ROWS)

    def inputs(self, x: np.ndarray) -> TiledImages:
        """Return pixels x (N, H, W, C) as the images whose tiles are inputs."""
        problem, pixels = self.problem, x.reshape(-1, x.shape[3])
        where = self.tops, self.lefts, problem.start, problem.dilation, problem.size
        return TiledImages(pixels, *where)

    def outputs(self, y: np.ndarray) -> TiledImages:
        """Return pixels y (N, P, Q, K) as the images whose tiles are outputs."""
        problem, pixels = self.problem, y.reshape(-1, y.shape[3])
        return TiledImages(pixels, self.tops, self.lefts, (0, 0), problem.dilation, problem.out)

    def work(self) -> np.ndarray:
        """Return scratch for two tiles of sixteen channels for each thread."""
        return per_thread_scratch("tile", (2 * N**2, CHANNELS), np.dtype(np.float32))
