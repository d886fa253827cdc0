"""3x3 convolution in Winograd's form: a quarter of the multiplications.

Every M x M tile of outputs is transformed into N * N points, N = M + 2. At each point the tiles are
a matrix (tiles, C) and the filters another (C, K); their product replaces the convolution. The
weight gradient is the same product transposed, and the input gradient is a convolution again.

There are two schedules. Few filters stay in cache: each task computes all steps for a block of
tiles, which is in cache too. Many filters would be read again for every block: the inputs of all
tiles are transformed first, and each task computes all steps for some filters, beginning with
their own transform. Transformed filters are four times as large as stored ones: to
transform them takes less time than to read them from memory.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.convolution import transformed_filters
from minideeplab.backends.numba_cpu.convolution.epilogue import Epilogue, EpilogueVectors
from minideeplab.backends.numba_cpu.convolution.filter_cache import cached
from minideeplab.backends.numba_cpu.convolution.grid import Grid, grid_of
from minideeplab.backends.numba_cpu.convolution.microkernel import PANELS
from minideeplab.backends.numba_cpu.convolution.packing import Packed
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.tile_accuracy import (
    DENSE,
    MOST,
    UnevenValues,
    direct_gradients,
    direct_tiles,
    tile_check,
    uneven_channels,
)
from minideeplab.backends.numba_cpu.convolution.tiles import TileCheck
from minideeplab.backends.numba_cpu.convolution.transformed_filters import StoredFilters
from minideeplab.backends.numba_cpu.convolution.transforms import N
from minideeplab.backends.numba_cpu.convolution.winograd_steps import (
    Scratch,
    add_segments,
    convolve_blocks,
    convolve_filters,
    filter_gradients,
    sum_segments,
    transform_both,
    transform_inputs,
)
from minideeplab.backends.numba_cpu.runtime.parallel import parallel_range
from minideeplab.backends.numba_cpu.runtime.scratch import aligned, scratch
from minideeplab.backends.numba_cpu.simd import CHANNELS

FEWEST = 2 * CHANNELS  # input channels: with fewer, many tiles would be too inaccurate
CACHED_BYTES = 9 << 20  # transformed filters up to this size stay in the caches
BLOCK_BYTES = 3 << 19  # transformed inputs and outputs of a block of tiles
CHUNK_BYTES = 18 << 20  # transformed inputs that many tasks read, from the last cache
MOST_PANELS = 4  # of filters, and of channels, that such a task takes at once
TASKS = 8  # fewest of those tasks, whatever the number of threads
GRADIENT_BYTES = 3 << 19  # a weight gradient up to this size is summed in parts
SEGMENTS = 8  # the parts, whatever the number of threads
SEGMENT_BYTES = 3 << 20  # transformed inputs and cotangents of a block of tiles of such a part


def suits(problem: Problem, dtype: np.dtype) -> bool:
    """Return whether the form exists here: 3x3, stride 1, no groups, whole vectors of float32."""
    whole = (
        problem.channels >= FEWEST
        and problem.channels % CHANNELS == 0
        and problem.filters % CHANNELS == 0
    )
    plain = problem.kernel == (3, 3) and problem.stride == (1, 1) and problem.groups == 1
    return whole and plain and dtype == np.float32


def convolve(
    x: np.ndarray,
    w: np.ndarray,
    epilogue: Epilogue,
    problem: Problem,
    transposed: bool = False,
) -> np.ndarray | None:
    """Convolve pixels x (N, H, W, C) with filters w: (N, P, Q, K).

    w is (K, C, 3, 3), or (C, K, 3, 3) if ``transposed``, for an input gradient. Tiles that are too
    inaccurate (see ``tile_accuracy.py``) are computed again as direct sums. None if they are many,
    or if a result is not finite: the transforms spread a NaN or an infinity over its tile.
    """
    grid, vectors = grid_of(problem), epilogue.vectors(problem.filters, x.dtype)
    y = aligned((problem.batch, *problem.out, problem.filters), x.dtype)
    check = tile_check(grid, w, transposed)
    at_points = N**2 * problem.channels * w.itemsize
    if problem.filters * at_points <= CACHED_BYTES and problem.filters <= grid.count:
        finite = _block_by_block(grid, x, y, _few_filters(w, transposed), vectors, check)
    else:
        source = transformed_filters.stored(w, transposed)
        chunks = grid.chunks(CHUNK_BYTES)
        parts = [_filter_by_filter(grid, x, y, source, vectors, tiles, check) for tiles in chunks]
        finite = all(parts)
    coarse = np.flatnonzero(check.coarse)
    if not finite or len(coarse) > MOST * grid.count:
        return None
    if len(coarse):
        direct_tiles(x, w, y, epilogue, grid, coarse, transposed)
    return y


def _few_filters(w: np.ndarray, transposed: bool) -> Packed:
    if transposed:  # in training they change at every step
        return transformed_filters.transform(w, transposed=True)
    return cached(w, "winograd", lambda: transformed_filters.transform(w))


def _block_by_block(
    grid: Grid,
    x: np.ndarray,
    y: np.ndarray,
    u: Packed,
    epilogue: EpilogueVectors,
    check: TileCheck,
) -> bool:
    """Compute all steps for each block of tiles in one task; return whether y is finite."""
    blocks = grid.blocks(BLOCK_BYTES)
    checks, images = np.zeros(len(blocks), y.dtype), (grid.inputs(x), u, grid.outputs(y))
    each = _for_blocks(grid, blocks)
    parallel_range(
        convolve_blocks, len(blocks), blocks, *images, epilogue, each, check, checks, step=1
    )
    return bool(np.isfinite(checks.sum()))


def _for_blocks(grid: Grid, blocks: np.ndarray) -> Scratch:
    """Return scratch for inputs and outputs of the longest block, for each thread."""
    tiles, problem = int((blocks[:, 1] - blocks[:, 0]).max(initial=0)), grid.problem
    v = grid.packed("inputs", problem.channels, tiles, per_thread=True)
    p = grid.packed("products", problem.filters, tiles, per_thread=True)
    return Scratch(v, p, grid.work())


def _filter_by_filter(
    grid: Grid,
    x: np.ndarray,
    y: np.ndarray,
    w: StoredFilters,
    epilogue: EpilogueVectors,
    tiles: tuple[int, int],
    check: TileCheck,
) -> bool:
    """Transform tiles [first, last), then compute all steps for some filters a task."""
    problem, work, count = grid.problem, grid.work(), tiles[1] - tiles[0]
    v, blocks = grid.packed("all_inputs", problem.channels, count), grid.blocks(BLOCK_BYTES, *tiles)
    parallel_range(transform_inputs, len(blocks), blocks, grid.inputs(x), v, work, check, step=1)
    filters = problem.filters // CHANNELS
    size = _part(filters, v.panels)
    checks = np.zeros(-(-filters // size[0]), y.dtype)
    u = grid.packed("filters", size[0] * CHANNELS, size[1] * CHANNELS, per_thread=True)
    p = grid.packed("products", size[0] * CHANNELS, count, per_thread=True)
    parallel_range(convolve_filters, len(checks), tiles, v, w, size, grid.outputs(y), epilogue,
                   Scratch(u, p, work), checks, step=1)  # fmt: skip
    return bool(np.isfinite(checks.sum()))


def _part(filters: int, channels: int) -> tuple[int, int]:
    """Return how many panels of the filters and of the channels a task takes at once."""
    return max(PANELS, min(MOST_PANELS, filters // TASKS)), min(MOST_PANELS, channels)


def weight_gradient(dy: np.ndarray, x: np.ndarray, problem: Problem) -> np.ndarray | None:
    """Return dw (K, C, 3, 3) for dy (N, P, Q, K) and x (N, H, W, C).

    None if many values are in channels that are too uneven for it; few are summed directly.

    At each point the transformed inputs and cotangents of all tiles are multiplied:
    du = v^T e, and dw = G^T du G.
    """
    grid, shape = grid_of(problem), (problem.filters, problem.channels, 3, 3)
    if not grid.count:
        return np.zeros(shape, x.dtype)
    chosen = zip((x, dy), uneven_channels(x, dy), strict=True)
    uneven = tuple(UnevenValues.of(pixels, channels) for pixels, channels in chosen)
    if sum(u.share(pixels) for u, pixels in zip(uneven, (x, dy), strict=True)) > DENSE:
        return None
    dw = np.empty(shape, x.dtype)
    if N**2 * shape[0] * shape[1] * dw.itemsize <= GRADIENT_BYTES:
        _by_segments(grid, dy, x, dw)
    else:
        target = transformed_filters.stored(dw)
        for tiles in grid.chunks(CHUNK_BYTES):
            _by_parts(grid, dy, x, target, tiles)
    direct_gradients(dy, x, dw, problem, uneven)
    return dw


def _by_segments(
    grid: Grid,
    dy: np.ndarray,
    x: np.ndarray,
    dw: np.ndarray,
) -> bool:
    """Sum small gradients over segments of the tiles, a task each; return whether dw is finite."""
    blocks, problem = grid.blocks(SEGMENT_BYTES), grid.problem
    du = grid.packed("gradient", problem.filters, problem.channels)
    sums = scratch("parts", (min(SEGMENTS, len(blocks)), du.data.size), dy.dtype)
    parts, each = du._replace(data=sums), _for_blocks(grid, blocks)
    parallel_range(sum_segments, len(sums), blocks, grid.inputs(x), grid.outputs(dy),
                   each, parts, step=1)  # fmt: skip
    parallel_range(add_segments, du.data.size, sums, du.data, work=len(sums))
    return transformed_filters.gradient(du, dw)


def _by_parts(
    grid: Grid,
    dy: np.ndarray,
    x: np.ndarray,
    dw: StoredFilters,
    tiles: tuple[int, int],
) -> bool:
    """Add the gradient of tiles [first, last), some filters and channels a task."""
    problem, count = grid.problem, tiles[1] - tiles[0]
    v = grid.packed("all_inputs", problem.channels, count)
    e = grid.packed("all_cotangents", problem.filters, count)
    blocks = grid.blocks(BLOCK_BYTES, *tiles)
    parallel_range(transform_both, len(blocks), blocks, grid.inputs(x), v, grid.outputs(dy), e,
                   grid.work(), step=1)  # fmt: skip
    size = _part(e.panels, v.panels)
    checks = np.zeros((-(-e.panels // size[0]), -(-v.panels // size[1])), dy.dtype)
    du = grid.packed("gradient", size[0] * CHANNELS, size[1] * CHANNELS, per_thread=True)
    parallel_range(filter_gradients, checks.size, count, v, e, du, size, dw, tiles[0] > 0,
                   checks, step=1)  # fmt: skip
    return bool(np.isfinite(checks.sum()))
