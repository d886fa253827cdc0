"""The tiles that cover the outputs of a convolution, and the transforms of some of them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from minideeplab.backends.numba_cpu.convolution.microkernel import ROWS
from minideeplab.backends.numba_cpu.convolution.packing import Panels, layouts
from minideeplab.backends.numba_cpu.convolution.polyphase import starts
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.simd import CHANNELS
from minideeplab.backends.numba_cpu.runtime.parallel import spans
from minideeplab.backends.numba_cpu.runtime.scratch import per_thread_scratch

BLOCKS = 16  # fewest blocks, so that threads end at about the same time


@lru_cache(maxsize=256)  # a network asks for its layers again and again
def grid_of(problem: Problem, m: int) -> Grid:
    """Return the grid of a problem."""
    return Grid(problem, m)


class Grid:
    """Tiles of m x m outputs, numbered by image, row and column."""

    def __init__(self, problem: Problem, m: int):
        self.problem, self.n = problem, m + 2
        self.tops, self.lefts = (
            starts(size, step, m) for size, step in zip(problem.out, problem.dilation, strict=True)
        )
        self.count = problem.batch * len(self.tops) * len(self.lefts)
        self.cuts: dict[tuple[int, int, int], np.ndarray] = {}

    def points(self, name: str, channels: int, indices: int) -> Panels:
        """Return scratch for ``indices`` transformed tiles or filters."""
        return Panels.empty(self.n**2, channels, indices, name)

    def each_points(self, name: str, channels: int, indices: int) -> tuple:
        """Return the layouts of such scratch, one for each thread."""
        return layouts(self.n**2, channels, indices, name)

    def chunks(self, size: int) -> list[tuple[int, int]]:
        """Cut the tiles into parts whose transformed inputs have at most ``size`` bytes."""
        return spans(self.count, self._most(size, self.count, self.problem.channels))

    def blocks(self, size: int, first: int = 0, last: int | None = None) -> np.ndarray:
        """Cut tiles [first, last) into blocks for the threads, of at most ``size`` bytes.

        Return (count, 2): the first tile of each, and the first one behind it.
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
        """Return the size of about equal parts: whole blocks of rows, ``size`` bytes at most."""
        each = self.n**2 * channels * 4
        count = max(1, -(-tiles // max(ROWS, size // each)))
        return max(ROWS, -(-tiles // count // ROWS) * ROWS)

    @property
    def inside(self) -> tuple:
        """Where the inputs of tiles lie, as the kernels of ``tiles.py`` take it."""
        problem = self.problem
        return self.tops, self.lefts, problem.start, problem.dilation, problem.size

    @property
    def outside(self) -> tuple:
        """Where the outputs of tiles lie."""
        return self.tops, self.lefts, self.problem.dilation, self.problem.out

    def rooms(self) -> np.ndarray:
        """Return room for two tiles of sixteen channels for each thread."""
        return per_thread_scratch("tile", (2 * self.n**2, CHANNELS), np.dtype(np.float32))
