"""Batch normalisation, channels last: sums over the rows of a matrix (N * H * W, C).

Rows are summed in strips, in float64. The strips depend on the shape only, so the sums have the
same bits with any number of threads. Memory traffic is the cost of such a layer: each direction
reads its maps twice, and a ReLU that follows is computed in the same pass.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.layout import maps, pixels
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel import (
    GRAIN,
    ParallelKernel,
    parallel_kernel,
    parallel_range,
)

SAMPLE = 256  # rows, about, whose mean is close enough to that of all

Needs = tuple[bool, bool, bool]
Gradients = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]


def batch_norm(
    x: np.ndarray,
    mean: np.ndarray | None,
    var: np.ndarray | None,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    training: bool,
    eps: float,
    *,
    rectify: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalise x (N, C, H, W) per channel; return y, the mean and 1 / sqrt(var + eps), both (C,).

    In training the statistics are the batch's own (biased variance), else ``mean`` and ``var``.
    ``rectify`` gives max(y, 0).
    """
    x = pixels(x)
    rows = x.reshape(-1, x.shape[3])
    if training:
        mean, invstd = _statistics(rows, eps)
    else:
        mean, invstd = mean.astype(x.dtype), (1 / np.sqrt(var + eps)).astype(x.dtype)
    gain = invstd if weight is None else invstd * weight
    shift = np.zeros_like(mean) if bias is None else bias
    y, least = np.empty_like(rows), x.dtype.type(0 if rectify else -np.inf)
    parallel_range(_normalise, len(y), rows, y, mean, gain, shift, least, work=y.shape[1])
    return maps(y.reshape(x.shape)), mean, invstd


def batch_norm_relu(*arguments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return max(y, 0), the mean and 1 / sqrt(var + eps) for the arguments of ``batch_norm``."""
    return batch_norm(*arguments, rectify=True)


def _statistics(rows: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and 1 / sqrt(biased variance + eps) of the rows (L, C), both (C,), in one pass.

    The sums are of differences from the mean of some rows, so that no digits are lost when the
    square of the mean difference is subtracted.
    """
    centre = _centre(rows, max(1, len(rows) // SAMPLE))
    totals = _strip_sums(_add_moments, rows, centre, width=2 * rows.shape[1])
    return _from_moments(totals, centre, max(1, len(rows)), eps, rows)


@jit
def _from_moments(totals, centre, count, eps, rows):
    """Return the statistics; compiled, as NumPy needs ten small operations for them."""
    mean, invstd = np.empty(centre.size, rows.dtype), np.empty(centre.size, rows.dtype)
    for c in range(centre.size):
        total, square = 0.0, 0.0
        for strip in range(len(totals)):
            total += totals[strip, c]
            square += totals[strip, centre.size + c]
        offset = total / count
        variance = square / count - offset * offset
        mean[c] = centre[c] + offset
        invstd[c] = 1 / np.sqrt((0.0 if variance < 0 else variance) + eps)  # a NaN stays
    return mean, invstd


@jit
def _centre(rows, step):
    """Return the mean of every ``step``-th row, (C,) in float64."""
    total = np.zeros(rows.shape[1], np.float64)
    for line in range(0, rows.shape[0], step):
        row = rows[line]
        for c in range(row.size):
            total[c] += row[c]
    return total / max(1, -(-rows.shape[0] // step))


def batch_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    invstd: np.ndarray,
    weight: np.ndarray | None,
    training: bool,
    needs: Needs = (True, True, True),
    *,
    y: np.ndarray | None = None,
) -> Gradients:
    """Return dx (N, C, H, W), dweight and dbias (C,), None where not needed.

    ``y`` is the output after a ReLU: where it is 0, dy becomes 0.
    """
    x, dy = pixels(x), pixels(dy)
    rows, cotangents = (a.reshape(-1, x.shape[3]) for a in (x, dy))
    kept = cotangents if y is None else pixels(y).reshape(rows.shape)
    given, rectified = (cotangents, rows, kept), y is not None
    totals = _strip_sums(_add_products, *given, rectified, mean, width=2 * mean.size)
    dbias, dweight, level, slope = _from_products(totals, invstd, max(1, len(rows)))
    dx = None
    if needs[0]:
        dx, gain = np.empty_like(cotangents), invstd if weight is None else invstd * weight
        if training:  # the statistics depend on x too
            more = mean, gain, level, slope
            parallel_range(_spread, len(dx), *given, rectified, dx, *more, work=dx.shape[1])
        else:
            parallel_range(_scale, len(dx), cotangents, kept, rectified, dx, gain, work=dx.shape[1])
        dx = maps(dx.reshape(x.shape))
    return dx, dweight if needs[1] else None, dbias if needs[2] else None


@jit
def _from_products(totals, invstd, count):
    """Return dbias, dweight and what ``_spread`` subtracts: the means of dy and of dy * xhat.

    The second is divided by the standard deviation again, since it is multiplied by x - mean.
    """
    channels, dtype = invstd.size, invstd.dtype
    dbias, dweight = np.empty(channels, dtype), np.empty(channels, dtype)
    level, slope = np.empty(channels, dtype), np.empty(channels, dtype)
    for c in range(channels):
        total, product = 0.0, 0.0
        for strip in range(len(totals)):
            total += totals[strip, c]
            product += totals[strip, channels + c]
        dbias[c], dweight[c] = total, product * invstd[c]
        level[c], slope[c] = total / count, product / count
        slope[c] = slope[c] * invstd[c] * invstd[c]
    return dbias, dweight, level, slope


def batch_norm_relu_backward(dy: np.ndarray, y: np.ndarray, *arguments) -> Gradients:
    """Return the gradients of ``batch_norm_relu`` from its output y (N, C, H, W)."""
    return batch_norm_backward(dy, *arguments, y=y)


def row_sums(rows: np.ndarray) -> np.ndarray:
    """Return the sum of the rows (L, C), (C,) in float64."""
    return _strip_sums(_add, rows, width=rows.shape[1]).sum(0)


def _strip_sums(add: ParallelKernel, rows: np.ndarray, *args: object, width: int) -> np.ndarray:
    """Return the sums of ``add`` over strips of the rows: (strips, width), in float64."""
    step = max(1, GRAIN // max(1, rows.shape[1]))
    totals = np.zeros((-(-len(rows) // step), width))
    parallel_range(add, len(rows), rows, *args, totals, step, step=step)
    return totals


@parallel_kernel
def _add(first, last, thread_id, rows, totals, step):
    """Add four rows at a time, in their order: the totals are read and written less often."""
    total, whole = totals[first // step], first + (last - first) // 4 * 4
    for line in range(first, whole, 4):
        w, x, y, z = rows[line], rows[line + 1], rows[line + 2], rows[line + 3]
        for c in range(total.size):
            total[c] = total[c] + w[c] + x[c] + y[c] + z[c]
    for line in range(whole, last):
        row = rows[line]
        for c in range(total.size):
            total[c] += row[c]


@parallel_kernel
def _add_moments(first, last, thread_id, rows, centre, totals, step):
    """Add the differences from the centre to the first half of totals, their squares after it."""
    sums, squares = totals[first // step, : centre.size], totals[first // step, centre.size :]
    whole = first + (last - first) // 4 * 4
    for line in range(first, whole, 4):
        w, x, y, z = rows[line], rows[line + 1], rows[line + 2], rows[line + 3]
        for c in range(w.size):
            m, total, square = centre[c], sums[c], squares[c]
            for value in (w[c] - m, x[c] - m, y[c] - m, z[c] - m):
                total += value
                square += value * value
            sums[c], squares[c] = total, square
    for line in range(whole, last):
        row = rows[line]
        for c in range(row.size):
            difference = row[c] - centre[c]
            sums[c] += difference
            squares[c] += difference * difference


@parallel_kernel
def _add_products(first, last, thread_id, dy, rows, y, rectified, mean, totals, step):
    """Add dy to the first half of totals, dy * (x - mean) to the second, two rows at a time."""
    sums, products = totals[first // step, : mean.size], totals[first // step, mean.size :]
    whole = first + (last - first) // 2 * 2
    for line in range(first, whole, 2):
        dy_a, row_a, kept_a = dy[line], rows[line], y[line]
        dy_b, row_b, kept_b = dy[line + 1], rows[line + 1], y[line + 1]
        for c in range(mean.size):
            a = _through_relu(dy_a[c], kept_a[c], rectified)
            b = _through_relu(dy_b[c], kept_b[c], rectified)
            sums[c] = sums[c] + a + b
            products[c] = products[c] + a * (row_a[c] - mean[c]) + b * (row_b[c] - mean[c])
    for line in range(whole, last):
        cotangent, row, kept = dy[line], rows[line], y[line]
        for c in range(row.size):
            share = _through_relu(cotangent[c], kept[c], rectified)
            sums[c] += share
            products[c] += share * (row[c] - mean[c])


@jit
def _through_relu(cotangent, y, rectified):
    """Return the cotangent, or 0 where the output of the ReLU is 0 (not where it is NaN)."""
    return cotangent * 0 if rectified and y <= 0 else cotangent


@parallel_kernel
def _normalise(first, last, thread_id, rows, y, mean, gain, shift, least):
    for line in range(first, last):
        row, target = rows[line], y[line]
        for c in range(row.size):
            value = (row[c] - mean[c]) * gain[c] + shift[c]
            target[c] = least if value <= least else value


@parallel_kernel
def _scale(first, last, thread_id, dy, y, rectified, dx, gain):
    for line in range(first, last):
        cotangent, kept, target = dy[line], y[line], dx[line]
        for c in range(cotangent.size):
            target[c] = _through_relu(cotangent[c], kept[c], rectified) * gain[c]


@parallel_kernel
def _spread(first, last, thread_id, dy, rows, y, rectified, dx, mean, gain, level, slope):
    """``dx = gain * (dy - mean(dy) - xhat * mean(dy * xhat))``, the means as level and slope."""
    for line in range(first, last):
        cotangent, row, kept, target = dy[line], rows[line], y[line], dx[line]
        for c in range(row.size):
            share = _through_relu(cotangent[c], kept[c], rectified)
            target[c] = gain[c] * (share - level[c] - (row[c] - mean[c]) * slope[c])
