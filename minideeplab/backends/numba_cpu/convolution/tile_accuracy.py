"""Accuracy of Winograd's form: which tiles are too inaccurate, and their direct computation.

A transform mixes all inputs of a tile, so the rounding error of its largest inputs reaches all of
its outputs. An output whose own window is small beside the rest of the tile then loses accuracy.
The error of an output, in units of eps * sum |w| |x| over its window, is estimated as

    (5 + 4 sqrt(C)) sqrt(s / 1.57) r (1 + 8 s r^2),    r = |x in tile|_2 / |x in window|_1

s = mean(w^2) / mean(|w|)^2 of the filter with the most uneven weights; 1.57 for normal ones.
The constants were fitted to the largest errors of random inputs; the last factor covers windows
that few values dominate. Tiles with an output above LIMIT are computed again as direct sums. In a
weight gradient, channels whose values are too uneven are summed directly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minideeplab.backends.numba_cpu.convolution import im2col
from minideeplab.backends.numba_cpu.convolution.epilogue import Epilogue
from minideeplab.backends.numba_cpu.convolution.grid import Grid
from minideeplab.backends.numba_cpu.convolution.problem import Problem
from minideeplab.backends.numba_cpu.convolution.tiles import TileCheck
from minideeplab.backends.numba_cpu.convolution.transforms import M
from minideeplab.backends.numba_cpu.runtime.blas import one_blas_thread
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel import (
    parallel_for,
    parallel_kernel,
    parallel_range,
    spans,
)

LIMIT = 90.0  # estimated error of tiles that are computed again; true ones are less than half
SAMPLES = 16  # channels of each filter that are looked at
ROWS = 512  # rows that a piece adds
STRIP = 16  # tiles that a task computes directly
UNEVEN = 0.1  # s_x s_dy / n up to which a weight gradient keeps its accuracy
DENSE = 0.2  # share of such values above which the whole gradient is computed directly
MOST = 0.25  # share of the tiles above which the whole convolution is computed directly


def tile_check(grid: Grid, w: np.ndarray, transposed: bool) -> TileCheck:
    """Return the check of a convolution with filters w (K, C, 3, 3)."""
    channels = grid.problem.channels
    unevenness = _unevenness(w, transposed, max(1, channels // SAMPLES))
    least = least_window(channels, unevenness)
    return TileCheck(np.zeros(grid.count, np.uint8), least, grid.problem.out)


def least_window(channels: int, unevenness: float) -> float:
    """Return the least |window|_1 / |tile|_2 whose estimated error is at most LIMIT."""
    if unevenness == 0:  # all weights are 0: every result is exact
        return 0.0
    if not np.isfinite(unevenness):
        return np.inf
    factor = (5 + 4 * np.sqrt(channels)) * np.sqrt(unevenness / 1.57) / LIMIT
    # factor r (1 + 8 s r^2) = 1 has one real root, by Cardano's formula
    p, q = 1 / (8 * unevenness), 1 / (8 * unevenness * factor)
    root = np.sqrt(q * q / 4 + p**3 / 27)
    return float(1 / (np.cbrt(q / 2 + root) + np.cbrt(q / 2 - root)))


@jit
def _unevenness(w, transposed, step):
    """Return the largest mean(w^2) / mean(|w|)^2 of a filter, over every ``step``-th channel."""
    largest, filters = 0.0, w.shape[1] if transposed else w.shape[0]
    for k in range(filters):
        part = w[::step, k] if transposed else w[k, ::step]
        ones, squares = 0.0, 0.0
        for value in part.flat:
            ones += abs(value)
            squares += value * value
        if ones > 0:
            largest = max(largest, squares / (ones * ones) * part.size)
    return largest


def direct_tiles(
    x: np.ndarray,
    w: np.ndarray,
    y: np.ndarray,
    epilogue: Epilogue,
    grid: Grid,
    tiles: np.ndarray,
    transposed: bool,
) -> None:
    """Write the outputs of ``tiles`` to y (N, P, Q, K) as direct sums."""
    order = im2col.transposed if transposed else im2col.by_channel
    weights = order(w, 1)[0].swapaxes(0, 1).reshape(-1, y.shape[3])  # (taps * C, K)
    rows, strips = y.reshape(-1, y.shape[3]), spans(len(tiles), STRIP)

    def run(index: int) -> None:
        windows, outputs = _windows(x, grid, tiles[slice(*strips[index])])
        part = windows @ weights
        epilogue.apply(part, 0)
        rows[outputs] = part

    with one_blas_thread():
        parallel_for(run, len(strips))


def uneven_channels(x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the channels of x (N, H, W, C) and dy (N, P, Q, K) whose gradients lose accuracy.

    In units of eps * sum |dy| |x|, the error of dw[k, c] grows with s_x[c] s_dy[k] / n for n
    positions, with s = mean(v^2) / mean(|v|)^2 over them.
    """
    s_x, s_dy = (_channel_unevenness(a.reshape(-1, a.shape[3])) for a in (x, dy))
    most = UNEVEN * dy[..., 0].size
    usual = [np.median(s) for s in (s_x, s_dy)]
    bounds = np.sqrt(most * usual[0] / usual[1]), np.sqrt(most * usual[1] / usual[0])
    return tuple(np.flatnonzero(~(s <= b)) for s, b in zip((s_x, s_dy), bounds, strict=True))


def _channel_unevenness(v: np.ndarray) -> np.ndarray:
    """Return mean(v^2) / mean(|v|)^2 over the rows of v (n, C), for each column; 1 if all are 0."""
    n, channels = v.shape
    sums = np.zeros((-(-n // ROWS), 2, channels), v.dtype)
    parallel_range(_add_rows, n, v, sums, step=ROWS)
    ones, squares = sums.sum(0, dtype=np.float64)
    with np.errstate(all="ignore"):
        return np.where(squares == 0, 1.0, n * squares / np.square(ones))


@parallel_kernel
def _add_rows(first, last, thread_id, v, sums):
    """Add |v| and v^2 of rows [first, last) for each column."""
    ones, squares = sums[first // ROWS]
    for row in range(first, last):
        values = v[row]
        for c in range(values.size):
            ones[c] += abs(values[c])
            squares[c] += values[c] * values[c]


class UnevenValues(NamedTuple):
    """The values of the uneven channels of x or dy, and which channels they are."""

    channels: np.ndarray
    values: np.ndarray  # (channels, N * H * W)

    @classmethod
    def of(cls, pixels: np.ndarray, channels: np.ndarray) -> UnevenValues:
        """Take them from pixels (N, H, W, C)."""
        values = pixels.reshape(-1, pixels.shape[3])[:, channels]
        return cls(channels, np.ascontiguousarray(values.T))

    def share(self, pixels: np.ndarray) -> float:
        """Return the number of values that are not 0, over that of all pixels' values."""
        return np.count_nonzero(self.values) / pixels.size


def direct_gradients(
    dy: np.ndarray,
    x: np.ndarray,
    dw: np.ndarray,
    problem: Problem,
    uneven: tuple[UnevenValues, UnevenValues],
) -> None:
    """Write the gradients dw (K, C, 3, 3) of uneven channels and filters as direct sums.

    Most of their values are 0, as after ReLU, so only the others are visited.
    """
    (top, left), (channels, filters) = problem.start, uneven
    if len(channels.channels):
        sums = _sum_products(channels.values, problem.size, dy, (top, left), -1, problem)
        dw[:, channels.channels] = sums.transpose(3, 0, 1, 2)
    if len(filters.channels):
        sums = _sum_products(filters.values, problem.out, x, (-top, -left), 1, problem)
        dw[filters.channels] = sums.transpose(0, 3, 1, 2)


def _sum_products(
    values: np.ndarray,
    size: tuple[int, int],
    other: np.ndarray,
    offset: tuple[int, int],
    sign: int,
    problem: Problem,
) -> np.ndarray:
    """Return sum_p values[m, p] * other[p + offset + sign * tap * dilation]: (m, 3, 3, C)."""
    sums = np.zeros((len(values), 9, other.shape[3]), other.dtype)
    steps = sign * problem.dilation[0], sign * problem.dilation[1]
    parallel_range(_add_products, len(values), values, size, other, offset, steps, sums, step=1)
    return sums.reshape(len(values), 3, 3, -1)


@parallel_kernel
def _add_products(first, last, thread_id, values, size, other, offset, steps, sums):
    """Add the products of some rows of values with the pixels that each tap reaches."""
    for m in range(first, last):
        for position in range(values.shape[1]):
            value = values[m, position]
            if value == 0:
                continue
            line, column = divmod(position, size[1])
            image, row = divmod(line, size[0])
            for i in range(3):
                p = row + offset[0] + i * steps[0]
                for j in range(3):
                    q = column + offset[1] + j * steps[1]
                    if 0 <= p < other.shape[1] and 0 <= q < other.shape[2]:
                        pixel, total = other[image, p, q], sums[m, 3 * i + j]
                        for c in range(total.size):
                            total[c] += value * pixel[c]


def _windows(x: np.ndarray, grid: Grid, tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the windows (L, taps * C) of the tiles' outputs, and their rows (L,) of y."""
    problem = grid.problem
    (height, width), (p_size, q_size) = problem.size, problem.out
    line, right = np.divmod(tiles, len(grid.lefts))
    image, down = np.divmod(line, len(grid.tops))
    p = grid.tops[down][:, None] + problem.dilation[0] * np.arange(M)
    q = grid.lefts[right][:, None] + problem.dilation[1] * np.arange(M)
    inside = (p < p_size)[:, :, None] & (q < q_size)[:, None, :]
    image, p, q = (a[inside] for a in np.broadcast_arrays(
        image[:, None, None], p[:, :, None], q[:, None, :]))  # fmt: skip
    h = p[:, None, None] - problem.start[0] + problem.dilation[0] * np.arange(3)[:, None]
    v = q[:, None, None] - problem.start[1] + problem.dilation[1] * np.arange(3)
    seen = (h >= 0) & (h < height) & (v >= 0) & (v < width)
    pixel = np.where(seen, (image[:, None, None] * height + h) * width + v, 0)
    windows = x.reshape(-1, x.shape[3])[pixel]
    windows[~seen] = 0
    return windows.reshape(len(p), -1), (image * p_size + p) * q_size + q
