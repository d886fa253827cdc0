"""3x3 convolution in Winograd's form: a quarter of the multiplications, or a fifth.

Every m x m tile of outputs is transformed into n * n points, n = m + 2; at each point the tiles are
one matrix (tiles, C) and the filters another (C, K), and their product replaces the convolution.
The weight gradient is the same product transposed, and the input gradient a convolution again.

Two schedules. Small filters stay in the L2 cache: then each task takes a block of tiles through
all three steps while it is in cache too. Large filters would be read again for every block: then
all tiles are transformed first, and each point's matrices are multiplied once.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution.filters import by_filter
from minideeplab.backends.numba_cpu.convolution.grid import Grid
from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.tiles import filter_gradients, filter_points
from minideeplab.backends.numba_cpu.threads import parallel_for, scratch, spans
from minideeplab.ops.window import Pair

L2_BYTES = 3 << 20  # transformed filters up to this size are left to the L2 cache
BLOCK_BYTES = 3 << 19  # transformed inputs and outputs of a block of tiles
CHUNK_BYTES = 3 << 24  # and of all tiles that are transformed before they are multiplied
SEGMENTS = 8  # partial sums of a weight gradient, whatever the number of threads


def suits(problem: Problem, dtype: np.dtype) -> bool:
    """Return whether the form exists here: 3x3, stride 1, no groups, whole vectors of float32."""
    whole = problem.channels % CHANNELS == 0 and problem.filters % CHANNELS == 0
    plain = problem.kernel == (3, 3) and problem.stride == (1, 1) and problem.groups == 1
    return whole and plain and dtype == np.float32


def transformed(filters: np.ndarray, n: int) -> np.ndarray:
    """Return filters (1, C, 9, K) at the n * n points, (n * n, C, K), in scratch."""
    filters = np.ascontiguousarray(filters[0])
    channels, _, count = filters.shape
    # A row more than needed, as in ``Grid``: points must not lie a power of two bytes apart.
    u = scratch("filters", (n * n, channels + 1, count), filters.dtype)
    flat, parts = u.reshape(-1, count), spans(channels, 16)
    parallel_for(lambda k: filter_points(filters, flat, n, *parts[k], channels + 1), len(parts))
    return u[:, :channels]


def convolve(
    x: np.ndarray, u: np.ndarray, b: np.ndarray | None, problem: Problem, m: int
) -> np.ndarray | None:
    """Convolve pixels x (N, H, W, C) with transformed filters u (n * n, C, K): (N, P, Q, K).

    None if a result is not finite: the transforms spread a NaN or an infinity over its tile.
    """
    grid = Grid(problem, m)
    bias = np.zeros((1, problem.filters), x.dtype) if b is None else b.reshape(1, -1)
    y = np.empty((problem.batch, *problem.out, problem.filters), x.dtype)
    if u.nbytes <= L2_BYTES:
        checks = _block_by_block(grid, x, u, y, bias)
    else:
        chunks = grid.blocks(CHUNK_BYTES)
        checks = [
            check for chunk in chunks for check in _point_by_point(grid, x, u, y, bias, *chunk)
        ]
    return y if np.isfinite(sum(checks)) else None


def _block_by_block(grid: Grid, x, u, y, bias) -> list[float]:
    """Take each block of tiles through all steps in one task."""
    blocks, problem = grid.blocks(BLOCK_BYTES), grid.problem
    checks = [0.0] * len(blocks)

    def run(index: int) -> None:
        first, last = blocks[index]
        v = grid.points("inputs", last - first, problem.channels)
        product = grid.points("products", last - first, problem.filters)
        grid.inputs(x, v, first, first, last)
        np.matmul(v[:, : last - first], u, out=product[:, : last - first])
        checks[index] = grid.outputs(product, y, bias, first, first, last)

    parallel_for(run, len(blocks))
    return checks


def _point_by_point(grid: Grid, x, u, y, bias, first: int, last: int) -> list[float]:
    """Transform all tiles [first, last), multiply each point's matrices, transform back."""
    tiles, problem = last - first, grid.problem
    v = grid.points("all_inputs", tiles, problem.channels)
    product = grid.points("all_products", tiles, problem.filters)
    blocks = grid.blocks(BLOCK_BYTES, first, last)
    checks = [0.0] * len(blocks)

    def multiply(point: int) -> None:
        np.matmul(v[point, :tiles], u[point], out=product[point, :tiles])

    def leave(index: int) -> None:
        checks[index] = grid.outputs(product, y, bias, first, *blocks[index])

    parallel_for(lambda index: grid.inputs(x, v, first, *blocks[index]), len(blocks))
    parallel_for(multiply, len(u))
    parallel_for(leave, len(blocks))
    return checks


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem, m: int) -> np.ndarray | None:
    """Return dw (K, C, 3, 3) for dy (N, P, Q, K) and x (N, H, W, C); None if it is not finite.

    At each point the transformed inputs and cotangents of all tiles are multiplied:
    du = v^T e, and dw = G^T du G.
    """
    grid, channels, filters = Grid(problem, m), problem.channels, problem.filters
    size = grid.n**2 * channels * filters * 4
    sums = _by_segments if size <= L2_BYTES else _by_points
    du = sums(grid, dy, x)
    dw = np.empty((channels, 9, filters), x.dtype)
    parts = spans(channels, 16)
    parallel_for(lambda k: filter_gradients(du, dw, grid.n, *parts[k]), len(parts))
    result = by_filter(dw[None], problem.kernel)
    return result if np.isfinite(result.sum()) else None


def _add_products(grid: Grid, blocks: list[Pair], dy, x, total: np.ndarray) -> None:
    """Add v^T e of some blocks of tiles to ``total`` (n * n, C, K), in this task."""
    product = scratch("gradient", total.shape, total.dtype)
    for first, last in blocks:
        tiles = last - first
        v = grid.points("inputs", tiles, grid.problem.channels)
        e = grid.points("products", tiles, grid.problem.filters)
        grid.inputs(x, v, first, first, last)
        grid.cotangents(dy, e, first, first, last)
        np.matmul(v[:, :tiles].swapaxes(1, 2), e[:, :tiles], out=product)
        total += product


def _by_segments(grid: Grid, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Sum small gradients over segments of the tiles, a task each."""
    blocks = grid.blocks(BLOCK_BYTES)
    partial = np.zeros((SEGMENTS, grid.n**2, grid.problem.channels, grid.problem.filters), x.dtype)
    parallel_for(lambda k: _add_products(grid, blocks[k::SEGMENTS], dy, x, partial[k]), SEGMENTS)
    return partial.sum(0)


def _by_points(grid: Grid, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Sum large gradients a point at a time, over all tiles of a chunk at once."""
    du = np.zeros((grid.n**2, grid.problem.channels, grid.problem.filters), x.dtype)
    for first, last in grid.blocks(CHUNK_BYTES):
        tiles = last - first
        v = grid.points("all_inputs", tiles, grid.problem.channels)
        e = grid.points("all_products", tiles, grid.problem.filters)
        blocks = grid.blocks(BLOCK_BYTES, first, last)

        def enter(index: int, v=v, e=e, first=first, blocks=blocks) -> None:
            grid.inputs(x, v, first, *blocks[index])
            grid.cotangents(dy, e, first, *blocks[index])

        def multiply(point: int, v=v, e=e, tiles=tiles) -> None:
            du[point] += v[point, :tiles].T @ e[point, :tiles]

        parallel_for(enter, len(blocks))
        parallel_for(multiply, len(du))
    return du
