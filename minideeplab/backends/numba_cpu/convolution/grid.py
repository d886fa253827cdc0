"""The tiles that cover the outputs of a convolution, and the transforms of some of them."""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS
from minideeplab.backends.numba_cpu.convolution.panels import Panels
from minideeplab.backends.numba_cpu.convolution.polyphase import starts
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.registers import ROWS
from minideeplab.backends.numba_cpu.convolution.tiles import (
    cotangent_tiles,
    input_tiles,
    output_tiles,
)
from minideeplab.backends.numba_cpu.threads import scratch, spans
from minideeplab.ops.window import Pair


class Grid:
    """Tiles of m x m outputs, numbered by image, row and column."""

    def __init__(self, problem: Problem, m: int):
        self.problem, self.n = problem, m + 2
        self.tops, self.lefts = (
            starts(size, step, m) for size, step in zip(problem.out, problem.dilation, strict=True)
        )
        self.count = problem.batch * len(self.tops) * len(self.lefts)

    def points(self, name: str, channels: int, tiles: int) -> Panels:
        """Return scratch for ``tiles`` transformed tiles."""
        return Panels.empty(self.n**2, channels, tiles, name)

    def blocks(self, size: int, first: int = 0, last: int | None = None) -> list[Pair]:
        """Cut tiles [first, last) into about equal blocks of at most ``size`` bytes transformed."""
        tiles = (self.count if last is None else last) - first
        each = self.n**2 * (self.problem.channels + self.problem.filters) * 4
        count = max(1, -(-tiles // max(ROWS, size // each)))
        step = -(-tiles // count // ROWS) * ROWS
        return [(first + a, first + b) for a, b in spans(tiles, max(ROWS, step))]

    def inputs(self, x: np.ndarray, v: Panels, span: tuple[int, int, int]) -> None:
        """Transform the inputs of tiles from pixels x (N, H, W, C).

        ``span`` is (first, last, origin), where the panels begin with tile ``origin``.
        """
        p, order = self.problem, (v.stride, v.hop)
        where = (self.tops, self.lefts, p.start, p.dilation, p.size)
        rows, work = x.reshape(-1, p.channels), self._work()
        input_tiles(rows, v.vectors, work, self.n, span, order, *where)

    def cotangents(self, dy: np.ndarray, e: Panels, span: tuple[int, int, int]) -> None:
        """Transform the cotangents of tiles from pixels dy (N, P, Q, K)."""
        p, order = self.problem, (e.stride, e.hop)
        where = (self.tops, self.lefts, p.dilation, p.out)
        cotangent_tiles(
            dy.reshape(-1, p.filters), e.vectors, self._work(), self.n, span, order, *where
        )

    def outputs(
        self, products: Panels, y: np.ndarray, finish: tuple, span: tuple[int, int, int]
    ) -> float:
        """Transform the products of tiles back to pixels y (N, P, Q, K), finished.

        Return 0, or NaN if any of them is not finite.
        """
        p, order = self.problem, (products.stride, products.hop)
        where = (self.tops, self.lefts, p.dilation, p.out)
        rows = y.reshape(-1, p.filters)
        return output_tiles(
            products.vectors, rows, self._work(), finish, self.n, span, order, *where
        )

    def _work(self) -> np.ndarray:
        """Return room for a tile between the transforms of its columns and of its rows."""
        return scratch("tile", (2 * self.n**2, CHANNELS), np.dtype(np.float32))
