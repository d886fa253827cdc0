"""3x3 convolution in Winograd's form: a quarter of the multiplications, or a fifth.

Every m x m tile of outputs is transformed into n * n points, n = m + 2; at each point the tiles are
one matrix (tiles, C) and the filters another (C, K), and their product replaces the convolution.
The weight gradient is the same product transposed, and the input gradient a convolution again.

Two schedules. Few filters stay in the caches: then each task takes a block of tiles through all
steps while it is in cache too. Many filters would be read again for every block: then the inputs of
all tiles are transformed first, and each task takes some filters through all steps, their own
transform first. Filters are four to seven times as large at their points as they are stored, so
that is sooner done than read from memory.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution import transformed_filters
from minideeplab.backends.numba_cpu.convolution.epilogue import Finish
from minideeplab.backends.numba_cpu.convolution.filter_cache import remembered
from minideeplab.backends.numba_cpu.convolution.grid import Grid, grid_of
from minideeplab.backends.numba_cpu.convolution.microkernel import PANELS
from minideeplab.backends.numba_cpu.convolution.packing import Panels
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.simd import CHANNELS
from minideeplab.backends.numba_cpu.convolution.winograd_steps import (
    blocks_through,
    enter,
    enter_both,
    filters_through,
    gradients_through,
    join_segments,
    sum_segments,
)
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_range
from minideeplab.backends.numba_cpu.runtime.scratch import aligned, scratch

CACHED_BYTES = 9 << 20  # transformed filters up to this size are left to the caches
BLOCK_BYTES = 3 << 19  # transformed inputs and outputs of a block of tiles
CHUNK_BYTES = 18 << 20  # transformed inputs that many tasks read, from the last cache
MOST_PANELS = 4  # of filters, and of channels, that such a task takes at once
TASKS = 8  # fewest of those tasks, whatever the number of threads
GRADIENT_BYTES = 3 << 19  # a weight gradient up to this size is summed in parts
SEGMENTS = 8  # the parts, whatever the number of threads
SEGMENT_BYTES = 3 << 20  # transformed inputs and cotangents of a block of tiles of such a part


def suits(problem: Problem, dtype: np.dtype) -> bool:
    """Return whether the form exists here: 3x3, stride 1, no groups, whole vectors of float32."""
    whole = problem.channels % CHANNELS == 0 and problem.filters % CHANNELS == 0
    plain = problem.kernel == (3, 3) and problem.stride == (1, 1) and problem.groups == 1
    return whole and plain and dtype == np.float32


def convolve(
    x: np.ndarray, w: np.ndarray, finish: Finish, problem: Problem, m: int, turned: bool = False
) -> np.ndarray | None:
    """Convolve pixels x (N, H, W, C) with filters w: (N, P, Q, K).

    w is (K, C, 3, 3), or (C, K, 3, 3) if ``turned``, for an input gradient. None if a result is not
    finite: the transforms spread a NaN or an infinity over its tile.
    """
    grid, end = grid_of(problem, m), finish.vectors(problem.filters, x.dtype)
    y = aligned((problem.batch, *problem.out, problem.filters), x.dtype)
    pictures = x.reshape(-1, problem.channels), y.reshape(-1, problem.filters)
    at_points = grid.n**2 * problem.channels * w.itemsize
    if problem.filters * at_points <= CACHED_BYTES and problem.filters <= grid.count:
        u = _few_filters(w, grid.n, turned)
        finite = _block_by_block(grid, *pictures, u, end)
    else:
        source = transformed_filters.stored(w, turned)
        chunks = grid.chunks(CHUNK_BYTES)
        finite = all([_filter_by_filter(grid, *pictures, source, end, *chunk) for chunk in chunks])
    return y if finite else None


def _few_filters(w: np.ndarray, n: int, turned: bool) -> Panels:
    if turned:  # in training they change at every step
        return transformed_filters.transform(w, n, turned=True)
    return remembered(w, n, lambda: transformed_filters.transform(w, n))


def _block_by_block(grid: Grid, x: np.ndarray, y: np.ndarray, u: Panels, end: tuple) -> bool:
    """Take each block of tiles through all steps in one task; return whether y is finite."""
    blocks, problem = grid.blocks(BLOCK_BYTES), grid.problem
    tiles, checks = _longest(blocks), np.zeros(len(blocks), y.dtype)
    v = grid.each_points("inputs", problem.channels, tiles)
    p = grid.each_points("products", problem.filters, tiles)
    parallel_range(blocks_through, len(blocks), blocks, grid.n, x, grid.inside, v, u.layout, p, y,
              grid.outside, end, grid.rooms(), checks, step=1)  # fmt: skip
    return bool(np.isfinite(checks.sum()))


def _longest(blocks: np.ndarray) -> int:
    return int((blocks[:, 1] - blocks[:, 0]).max(initial=0))


def _filter_by_filter(
    grid: Grid, x: np.ndarray, y: np.ndarray, w: tuple, end: tuple, first: int, last: int
) -> bool:
    """Transform tiles [first, last), then take some filters after others through all steps."""
    tiles, n, problem, rooms = last - first, grid.n, grid.problem, grid.rooms()
    v = grid.points("all_inputs", problem.channels, tiles).layout
    blocks = grid.blocks(BLOCK_BYTES, first, last)
    parallel_range(enter, len(blocks), blocks, n, x, grid.inside, v, rooms, step=1)
    panels = problem.filters // CHANNELS, problem.channels // CHANNELS
    size = _part(panels)
    checks, span = np.zeros(-(-panels[0] // size[0]), y.dtype), (first, last, first)
    u = grid.each_points("filters", size[0] * CHANNELS, size[1] * CHANNELS)
    p = grid.each_points("products", size[0] * CHANNELS, tiles)
    parallel_range(filters_through, len(checks), span, n, v, w, u, size, p, panels, y, grid.outside,
              end, rooms, checks, step=1)  # fmt: skip
    return bool(np.isfinite(checks.sum()))


def _part(panels: tuple[int, int]) -> tuple[int, int]:
    """Return how many panels of the filters and of the channels a task takes at once."""
    return max(PANELS, min(MOST_PANELS, panels[0] // TASKS)), min(MOST_PANELS, panels[1])


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem, m: int) -> np.ndarray | None:
    """Return dw (K, C, 3, 3) for dy (N, P, Q, K) and x (N, H, W, C); None if it is not finite.

    At each point the transformed inputs and cotangents of all tiles are multiplied:
    du = v^T e, and dw = G^T du G.
    """
    grid, shape = grid_of(problem, m), (problem.filters, problem.channels, 3, 3)
    if not grid.count:
        return np.zeros(shape, x.dtype)
    dw, pictures = np.empty(shape, x.dtype), (dy.reshape(-1, shape[0]), x.reshape(-1, shape[1]))
    if grid.n**2 * shape[0] * shape[1] * dw.itemsize <= GRADIENT_BYTES:
        finite = _by_segments(grid, *pictures, dw)
    else:
        target, chunks = transformed_filters.stored(dw), grid.chunks(CHUNK_BYTES)
        finite = all([_by_parts(grid, *pictures, target, *chunk) for chunk in chunks])
    return dw if finite else None


def _by_segments(grid: Grid, dy: np.ndarray, x: np.ndarray, dw: np.ndarray) -> bool:
    """Sum small gradients over segments of the tiles, a task each; return whether dw is finite."""
    blocks, problem = grid.blocks(SEGMENT_BYTES), grid.problem
    du, tiles = grid.points("gradient", problem.filters, problem.channels), _longest(blocks)
    parts = scratch("parts", (min(SEGMENTS, len(blocks)), *du.vectors.shape), dy.dtype)
    v = grid.each_points("inputs", problem.channels, tiles)
    e = grid.each_points("products", problem.filters, tiles)
    parallel_range(sum_segments, len(parts), blocks, grid.n, x, grid.inside, v, dy, grid.outside, e,
              parts, du.layout, grid.rooms(), step=1)  # fmt: skip
    parallel_range(join_segments, len(du.vectors), parts, du.vectors, work=CHANNELS * len(parts))
    return transformed_filters.gradient(du, dw, grid.n)


def _by_parts(grid: Grid, dy: np.ndarray, x: np.ndarray, dw: tuple, first: int, last: int) -> bool:
    """Add the gradient of tiles [first, last), some filters and channels a task."""
    tiles, n, problem = last - first, grid.n, grid.problem
    v = grid.points("all_inputs", problem.channels, tiles).layout
    e = grid.points("all_cotangents", problem.filters, tiles).layout
    blocks = grid.blocks(BLOCK_BYTES, first, last)
    parallel_range(enter_both, len(blocks), blocks, n, x, grid.inside, v, dy, grid.outside, e,
              grid.rooms(), step=1)  # fmt: skip
    panels = problem.filters // CHANNELS, problem.channels // CHANNELS
    size = _part(panels)
    checks = np.zeros([-(-p // s) for p, s in zip(panels, size, strict=True)], dy.dtype)
    du = grid.each_points("gradient", size[0] * CHANNELS, size[1] * CHANNELS)
    parallel_range(gradients_through, checks.size, tiles, n, v, e, du, size, dw, first > 0, checks,
              step=1)  # fmt: skip
    return bool(np.isfinite(checks.sum()))
