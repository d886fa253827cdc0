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

from minideeplab.backends.numba_cpu.convolution import transformed_filters
from minideeplab.backends.numba_cpu.convolution.finish import Finish
from minideeplab.backends.numba_cpu.convolution.grid import Grid
from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS
from minideeplab.backends.numba_cpu.convolution.panels import Panels, add_gradient, multiply
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.threads import aligned, parallel_for

L2_BYTES = 9 << 20  # transformed filters up to this size are left to the caches
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
    grid = Grid(problem, m)
    end = finish.vectors(problem.filters, x.dtype)
    y = aligned((problem.batch, *problem.out, problem.filters), x.dtype)
    if u.nbytes <= L2_BYTES:
        checks = _block_by_block(grid, x, u, y, end)
    else:
        chunks = grid.blocks(CHUNK_BYTES)
        checks = [
            check for chunk in chunks for check in _point_by_point(grid, x, u, y, end, *chunk)
        ]
    return y if np.isfinite(sum(checks)) else None


def _block_by_block(grid: Grid, x, u: Panels, y, end) -> list[float]:
    """Take each block of tiles through all steps in one task."""
    blocks, problem = grid.blocks(BLOCK_BYTES), grid.problem
    checks = [0.0] * len(blocks)

    def run(index: int) -> None:
        first, last = blocks[index]
        v = grid.points("inputs", problem.channels, last - first)
        products = grid.points("products", problem.filters, last - first)
        grid.inputs(x, v, (first, last, first))
        multiply(v.layout, u.layout, products.layout, last - first, 0, grid.n**2)
        checks[index] = grid.outputs(products, y, end, (first, last, first))

    parallel_for(run, len(blocks))
    return checks


def _point_by_point(grid: Grid, x, u: Panels, y, end, first: int, last: int) -> list[float]:
    """Transform all tiles [first, last), multiply each point's matrices, transform back."""
    tiles, problem = last - first, grid.problem
    v = grid.points("all_inputs", problem.channels, tiles)
    products = grid.points("all_products", problem.filters, tiles)
    blocks = grid.blocks(BLOCK_BYTES, first, last)
    checks = [0.0] * len(blocks)
    layouts = v.layout, u.layout, products.layout

    def leave(index: int) -> None:
        checks[index] = grid.outputs(products, y, end, (*blocks[index], first))

    parallel_for(lambda index: grid.inputs(x, v, (*blocks[index], first)), len(blocks))
    parallel_for(lambda point: multiply(*layouts, tiles, point, point + 1), grid.n**2)
    parallel_for(leave, len(blocks))
    return checks


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem, m: int) -> np.ndarray | None:
    """Return dw (K, C, 3, 3) for dy (N, P, Q, K) and x (N, H, W, C); None if it is not finite.

    At each point the transformed inputs and cotangents of all tiles are multiplied:
    du = v^T e, and dw = G^T du G.
    """
    grid, channels, filters = Grid(problem, m), problem.channels, problem.filters
    du = Panels.empty(grid.n**2, filters, channels, "gradient")
    sums = _by_segments if du.nbytes <= GRADIENT_BYTES else _by_points
    sums(grid, dy, x, du)
    dw = transformed_filters.gradient(du, grid.n, (filters, channels, 3, 3))
    return dw if np.isfinite(dw.sum()) else None


def _by_segments(grid: Grid, dy: np.ndarray, x: np.ndarray, du: Panels) -> None:
    """Sum small gradients over segments of the tiles, a task each."""
    blocks, problem = grid.blocks(BLOCK_BYTES), grid.problem
    parts = [du, *(du.copy() for _ in range(min(SEGMENTS, len(blocks)) - 1))]

    def run(segment: int) -> None:
        total = parts[segment]
        total.vectors[:] = 0
        for first, last in blocks[segment :: len(parts)]:
            v = grid.points("inputs", problem.channels, last - first)
            e = grid.points("products", problem.filters, last - first)
            grid.inputs(x, v, (first, last, first))
            grid.cotangents(dy, e, (first, last, first))
            add_gradient(v.layout, e.layout, total.layout, last - first, 0, grid.n**2)

    parallel_for(run, len(parts))
    for part in parts[1:]:
        du.vectors[:] += part.vectors


def _by_points(grid: Grid, dy: np.ndarray, x: np.ndarray, du: Panels) -> None:
    """Sum large gradients a point at a time, over all tiles of a chunk at once."""
    du.vectors[:] = 0
    for first, last in grid.blocks(CHUNK_BYTES):
        tiles, problem = last - first, grid.problem
        v = grid.points("all_inputs", problem.channels, tiles)
        e = grid.points("all_products", problem.filters, tiles)
        blocks = grid.blocks(BLOCK_BYTES, first, last)
        layouts = v.layout, e.layout, du.layout

        def enter(index: int, v=v, e=e, first=first, blocks=blocks) -> None:
            grid.inputs(x, v, (*blocks[index], first))
            grid.cotangents(dy, e, (*blocks[index], first))

        def add(point: int, layouts=layouts, tiles=tiles) -> None:
            add_gradient(*layouts, tiles, point, point + 1)

        parallel_for(enter, len(blocks))
        parallel_for(add, grid.n**2)
