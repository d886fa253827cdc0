"""3x3 convolution in Winograd's form: a quarter of the multiplications, or a fifth.

Every m x m tile of outputs is transformed into n * n points, n = m + 2; at each point the tiles are
one matrix (tiles, C) and the filters another (C, K), and their product replaces the convolution.
The weight gradient is the same product transposed, and the input gradient a convolution again.

Two schedules. Small filters stay in the caches: then each task takes a block of tiles through
all three steps while it is in cache too. Large filters would be read again for every block: then
all tiles are transformed first, and each point's matrices are multiplied once.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution import transformed_filters
from minideeplab.backends.numba_cpu.convolution.finish import Finish
from minideeplab.backends.numba_cpu.convolution.grid import Grid
from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS
from minideeplab.backends.numba_cpu.convolution.panels import Panels
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.rounds import (
    add_points,
    blocks_through,
    enter,
    enter_both,
    join_segments,
    leave,
    multiply_points,
    sum_segments,
)
from minideeplab.backends.numba_cpu.threads import GRAIN, aligned, scratch, share

CACHED_BYTES = 9 << 20  # transformed filters up to this size are left to the caches
BLOCK_BYTES = 3 << 19  # transformed inputs and outputs of a block of tiles
CHUNK_BYTES = 5 << 23  # and of all tiles that are transformed before they are multiplied
GRADIENT_BYTES = 3 << 19  # a weight gradient up to this size is summed in parts
SEGMENTS = 8  # the parts, whatever the number of threads


def suits(problem: Problem, dtype: np.dtype) -> bool:
    """Return whether the form exists here: 3x3, stride 1, no groups, whole vectors of float32."""
    whole = problem.channels % CHANNELS == 0 and problem.filters % CHANNELS == 0
    plain = problem.kernel == (3, 3) and problem.stride == (1, 1) and problem.groups == 1
    return whole and plain and dtype == np.float32


def convolve(
    x: np.ndarray, u: Panels, finish: Finish, problem: Problem, m: int
) -> np.ndarray | None:
    """Convolve pixels x (N, H, W, C) with transformed filters u: (N, P, Q, K).

    None if a result is not finite: the transforms spread a NaN or an infinity over its tile.
    """
    grid, end = Grid(problem, m), finish.vectors(problem.filters, x.dtype)
    y = aligned((problem.batch, *problem.out, problem.filters), x.dtype)
    pictures = x.reshape(-1, problem.channels), y.reshape(-1, problem.filters)
    if u.nbytes <= CACHED_BYTES:
        finite = _block_by_block(grid, *pictures, u, end)
    else:
        finite = all(
            [_point_by_point(grid, *pictures, u, end, *chunk) for chunk in grid.chunks(CHUNK_BYTES)]
        )
    return y if finite else None


def _block_by_block(grid: Grid, x: np.ndarray, y: np.ndarray, u: Panels, end: tuple) -> bool:
    """Take each block of tiles through all steps in one task; return whether y is finite."""
    blocks, problem = grid.blocks(BLOCK_BYTES), grid.problem
    checks, inside, outside = np.zeros(len(blocks), y.dtype), grid.inside, grid.outside
    tiles = _longest(blocks)

    def work(counters: np.ndarray) -> None:
        v = grid.points("inputs", problem.channels, tiles).layout
        p = grid.points("products", problem.filters, tiles).layout
        blocks_through(counters, blocks, grid.n, x, inside, v, u.layout, p, y, outside, end,
                       grid.room(), checks)  # fmt: skip

    share(work, len(blocks))
    return bool(np.isfinite(checks.sum()))


def _longest(blocks: np.ndarray) -> int:
    return int((blocks[:, 1] - blocks[:, 0]).max(initial=0))


def _point_by_point(
    grid: Grid, x: np.ndarray, y: np.ndarray, u: Panels, end: tuple, first: int, last: int
) -> bool:
    """Transform all tiles [first, last), multiply each point's matrices, transform back."""
    tiles, n = last - first, grid.n
    v = grid.points("all_inputs", grid.problem.channels, tiles).layout
    p = grid.points("all_products", grid.problem.filters, tiles).layout
    blocks = grid.blocks(BLOCK_BYTES, first, last)
    checks, inside, outside = np.zeros(len(blocks), y.dtype), grid.inside, grid.outside
    share(lambda c: enter(c, blocks, n, x, inside, v, grid.room()), len(blocks))
    share(lambda c: multiply_points(c, n, v, u.layout, p, tiles), n**2)
    share(lambda c: leave(c, blocks, n, p, y, outside, end, grid.room(), checks), len(blocks))
    return bool(np.isfinite(checks.sum()))


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem, m: int) -> np.ndarray | None:
    """Return dw (K, C, 3, 3) for dy (N, P, Q, K) and x (N, H, W, C); None if it is not finite.

    At each point the transformed inputs and cotangents of all tiles are multiplied:
    du = v^T e, and dw = G^T du G.
    """
    grid, channels, filters = Grid(problem, m), problem.channels, problem.filters
    if not grid.count:
        return np.zeros((filters, channels, 3, 3), x.dtype)
    du = Panels.empty(grid.n**2, filters, channels, "gradient")
    sums = _by_segments if du.nbytes <= GRADIENT_BYTES else _by_points
    sums(grid, dy.reshape(-1, filters), x.reshape(-1, channels), du)
    dw = transformed_filters.gradient(du, grid.n, (filters, channels, 3, 3))
    return dw if np.isfinite(dw.sum()) else None


def _by_segments(grid: Grid, dy: np.ndarray, x: np.ndarray, du: Panels) -> None:
    """Sum small gradients over segments of the tiles, a task each."""
    blocks, problem = grid.blocks(BLOCK_BYTES), grid.problem
    inside, outside, tiles = grid.inside, grid.outside, _longest(blocks)
    parts = scratch("parts", (min(SEGMENTS, len(blocks)), *du.vectors.shape), dy.dtype)

    def work(counters: np.ndarray) -> None:
        v = grid.points("inputs", problem.channels, tiles).layout
        e = grid.points("products", problem.filters, tiles).layout
        sum_segments(counters, blocks, grid.n, x, inside, v, dy, outside, e, parts, du.layout,
                     grid.room())  # fmt: skip

    share(work, len(parts))
    step = max(1, GRAIN // (CHANNELS * len(parts)))
    share(lambda c: join_segments(c, parts, du.vectors, step), -(-len(du.vectors) // step))


def _by_points(grid: Grid, dy: np.ndarray, x: np.ndarray, du: Panels) -> None:
    """Sum large gradients a point at a time, over all tiles of a chunk at once."""
    for first, last in grid.chunks(CHUNK_BYTES):
        _add_chunk(grid, dy, x, du, first, last)


def _add_chunk(grid: Grid, dy, x, du: Panels, first: int, last: int) -> None:
    tiles, n, inside, outside = last - first, grid.n, grid.inside, grid.outside
    v = grid.points("all_inputs", grid.problem.channels, tiles).layout
    e = grid.points("all_products", grid.problem.filters, tiles).layout
    blocks = grid.blocks(BLOCK_BYTES, first, last)
    share(
        lambda c: enter_both(c, blocks, n, x, inside, v, dy, outside, e, grid.room()), len(blocks)
    )
    share(lambda c: add_points(c, n, v, e, du.layout, tiles, first > 0), n**2)
