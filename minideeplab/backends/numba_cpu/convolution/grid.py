"""The tiles that cover the outputs of a convolution, and the transforms of some of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from minideeplab.backends.numba_cpu.convolution.polyphase import starts
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.tiles import (
    cotangent_tiles,
    input_tiles,
    output_tiles,
)
from minideeplab.backends.numba_cpu.threads import scratch
from minideeplab.ops.window import Pair


class Grid:
    """Tiles of m x m outputs, numbered by image, row and column.

    Transformed tiles are arrays (n * n, tiles + 1, channels) that begin with tile ``origin``. Their
    last row is unused: points a power of two bytes apart would share the same sets of a cache.
    """

    def __init__(self, problem: Problem, m: int):
        self.problem, self.n = problem, m + 2
        self.tops, self.lefts = (
            starts(size, step, m) for size, step in zip(problem.out, problem.dilation, strict=True)
        )
        self.count = problem.batch * len(self.tops) * len(self.lefts)

    def points(self, name: str, tiles: int, channels: int) -> np.ndarray:
        """Return scratch for ``tiles`` transformed tiles."""
        return scratch(name, (self.n**2, tiles + 1, channels), np.dtype(np.float32))

    def blocks(self, size: int, first: int = 0, last: int | None = None) -> list[Pair]:
        """Cut tiles [first, last) into equal blocks of at most ``size`` bytes transformed."""
        tiles = (self.count if last is None else last) - first
        each = self.n**2 * (self.problem.channels + self.problem.filters) * 4
        count = -(-tiles // max(1, size // each))
        edges = [first + tiles * k // count for k in range(count + 1)]
        return list(pairwise(edges))

    def inputs(self, x: np.ndarray, v: np.ndarray, origin: int, first: int, last: int) -> None:
        """Transform the inputs of tiles [first, last) from pixels x (N, H, W, C)."""
        p = self.problem
        rows, points = x.reshape(-1, p.channels), v.reshape(-1, p.channels)
        span, at = (first, last, origin, v.shape[1]), (self.tops, self.lefts)
        input_tiles(rows, points, self.n, *span, *at, p.start, p.dilation, p.size)

    def cotangents(self, dy: np.ndarray, v: np.ndarray, origin: int, first: int, last: int) -> None:
        """Transform the cotangents of tiles [first, last) from pixels dy (N, P, Q, K)."""
        p = self.problem
        rows, points = dy.reshape(-1, p.filters), v.reshape(-1, p.filters)
        span, at = (first, last, origin, v.shape[1]), (self.tops, self.lefts)
        cotangent_tiles(rows, points, self.n, *span, *at, p.dilation, p.out)

    def outputs(
        self, v: np.ndarray, y: np.ndarray, bias: np.ndarray, origin: int, first: int, last: int
    ) -> float:
        """Transform the products of tiles [first, last) back to pixels y (N, P, Q, K).

        Return 0, or NaN if any of them is not finite.
        """
        p = self.problem
        rows, points = y.reshape(-1, p.filters), v.reshape(-1, p.filters)
        span, at = (first, last, origin, v.shape[1]), (self.tops, self.lefts)
        return output_tiles(points, rows, bias, self.n, *span, *at, p.dilation, p.out)
