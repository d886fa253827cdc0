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
from minideeplab.backends.numba_cpu.convolution.finish import Finish
from minideeplab.backends.numba_cpu.convolution.grid import Grid
from minideeplab.backends.numba_cpu.convolution.lanes import CHANNELS
from minideeplab.backends.numba_cpu.convolution.memory import remembered
from minideeplab.backends.numba_cpu.convolution.panels import Panels
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.registers import PANELS
from minideeplab.backends.numba_cpu.convolution.rounds import (
    blocks_through,
    enter,
    enter_both,
    join_segments,
    sum_segments,
    through_filters,
    through_gradients,
)
from minideeplab.backends.numba_cpu.threads import GRAIN, aligned, parallel_for, scratch, share

CACHED_BYTES = 9 << 20  # transformed filters up to this size are left to the caches
BLOCK_BYTES = 3 << 19  # transformed inputs and outputs of a block of tiles
CHUNK_BYTES = 18 << 20  # transformed inputs that many tasks read, from the last cache
MOST_PANELS = 4  # of filters, and of channels, that such a task takes at once
TASKS = 8  # fewest of those tasks, whatever the number of threads
GRADIENT_BYTES = 3 << 19  # a weight gradient up to this size is summed in parts
SEGMENTS = 8  # the parts, whatever the number of threads


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
    grid, end = Grid(problem, m), finish.vectors(problem.filters, x.dtype)
    y = aligned((problem.batch, *problem.out, problem.filters), x.dtype)
    pictures = x.reshape(-1, problem.channels), y.reshape(-1, problem.filters)
    at_points = grid.n**2 * problem.channels * w.itemsize
    if problem.filters * at_points <= CACHED_BYTES and problem.filters <= grid.count:
        u = _few_filters(w, grid.n, turned)
        finite = _block_by_block(grid, *pictures, u, end)
    else:
        source = transformed_filters.stored(w, turned)
        finite = all(
            [
                _filter_by_filter(grid, *pictures, source, end, *chunk)
                for chunk in grid.chunks(CHUNK_BYTES)
            ]
        )
    return y if finite else None


def _few_filters(w: np.ndarray, n: int, turned: bool) -> Panels:
    if turned:  # in training they change at every step
        return transformed_filters.transform(w, n, turned=True)
    return remembered(w, n, lambda: transformed_filters.transform(w, n))


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


def _filter_by_filter(
    grid: Grid, x: np.ndarray, y: np.ndarray, w: tuple, end: tuple, first: int, last: int
) -> bool:
    """Transform tiles [first, last), then take some filters after others through all steps."""
    tiles, n, problem = last - first, grid.n, grid.problem
    inside, outside = grid.inside, grid.outside
    v = grid.points("all_inputs", problem.channels, tiles).layout
    blocks = grid.blocks(BLOCK_BYTES, first, last)
    share(lambda c: enter(c, blocks, n, x, inside, v, grid.room()), len(blocks))
    panels = problem.filters // CHANNELS, problem.channels // CHANNELS
    size = _part(panels)
    checks, span = np.zeros(-(-panels[0] // size[0]), y.dtype), (first, last, first)

    def work(counters: np.ndarray) -> None:
        filters, channels = (count * CHANNELS for count in size)
        u = Panels.empty(n**2, filters, channels, "filters").layout
        p = grid.points("products", filters, tiles).layout
        through_filters(counters, span, n, v, w, u, size, p, panels, y, outside, end,
                        grid.room(), checks)  # fmt: skip

    share(work, len(checks))
    return bool(np.isfinite(checks.sum()))


def _part(panels: tuple[int, int]) -> tuple[int, int]:
    """Return how many panels of the filters and of the channels a task takes at once."""
    return max(PANELS, min(MOST_PANELS, panels[0] // TASKS)), min(MOST_PANELS, panels[1])


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem, m: int) -> np.ndarray | None:
    """Return dw (K, C, 3, 3) for dy (N, P, Q, K) and x (N, H, W, C); None if it is not finite.

    At each point the transformed inputs and cotangents of all tiles are multiplied:
    du = v^T e, and dw = G^T du G.
    """
    grid, shape = Grid(problem, m), (problem.filters, problem.channels, 3, 3)
    if not grid.count:
        return np.zeros(shape, x.dtype)
    dw, pictures = np.empty(shape, x.dtype), (dy.reshape(-1, shape[0]), x.reshape(-1, shape[1]))
    target = transformed_filters.stored(dw)
    if grid.n**2 * shape[0] * shape[1] * dw.itemsize <= GRADIENT_BYTES:
        finite = _by_segments(grid, *pictures, target)
    else:
        finite = all(
            [_by_parts(grid, *pictures, target, *chunk) for chunk in grid.chunks(CHUNK_BYTES)]
        )
    return dw if finite else None


def _by_segments(grid: Grid, dy: np.ndarray, x: np.ndarray, dw: tuple) -> bool:
    """Sum small gradients over segments of the tiles, a task each; return whether dw is finite."""
    blocks, problem = grid.blocks(BLOCK_BYTES), grid.problem
    du = Panels.empty(grid.n**2, problem.filters, problem.channels, "gradient")
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
    checks = np.zeros(problem.channels // CHANNELS, dy.dtype)

    def undo(c: int) -> None:
        checks[c] = transformed_filters.to_taps(
            du.layout, dw, grid.n, ((0, du.panels), (c, c + 1)), (0, 0), False
        )

    parallel_for(undo, len(checks))
    return bool(np.isfinite(checks.sum()))


def _by_parts(grid: Grid, dy: np.ndarray, x: np.ndarray, dw: tuple, first: int, last: int) -> bool:
    """Add the gradient of tiles [first, last), some filters and channels a task."""
    tiles, n, problem = last - first, grid.n, grid.problem
    inside, outside = grid.inside, grid.outside
    v = grid.points("all_inputs", problem.channels, tiles).layout
    e = grid.points("all_cotangents", problem.filters, tiles).layout
    blocks = grid.blocks(BLOCK_BYTES, first, last)
    share(
        lambda c: enter_both(c, blocks, n, x, inside, v, dy, outside, e, grid.room()), len(blocks)
    )
    panels = problem.filters // CHANNELS, problem.channels // CHANNELS
    size = _part(panels)
    checks = np.zeros([-(-p // s) for p, s in zip(panels, size, strict=True)], np.float32)

    def work(counters: np.ndarray) -> None:
        filters, channels = (count * CHANNELS for count in size)
        du = Panels.empty(n**2, filters, channels, "gradient").layout
        through_gradients(counters, tiles, n, v, e, du, size, dw, first > 0, checks)

    share(work, checks.size)
    return bool(np.isfinite(checks.sum()))
