"""Batch normalisation, channels last: sums over the rows of a matrix (N * H * W, C).

Rows are summed a strip at a time in float64; the strips depend on the shape only, so that the sums
are the same bits whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.layout import maps, pixels
from minideeplab.backends.numba_cpu.threads import GRAIN, parallel_for, parallel_spans, spans


def batch_norm(
    x: np.ndarray,
    mean: np.ndarray | None,
    var: np.ndarray | None,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    training: bool,
    eps: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalise x (N, C, H, W) per channel; return y, the mean and 1 / sqrt(var + eps), both (C,).

    In training the statistics are the batch's own (biased variance), else ``mean`` and ``var``.
    """
    x = pixels(x)
    rows = x.reshape(-1, x.shape[3])
    if training:
        count = max(1, len(rows))  # an empty batch has the statistics 0, without a warning
        mean = row_sums(rows) / count
        var = _summed(lambda *part: _add_squares(rows, mean, *part), rows.shape) / count
    invstd = (1 / np.sqrt(var + eps)).astype(x.dtype)
    mean = mean.astype(x.dtype)
    gain = invstd if weight is None else invstd * weight
    shift = np.zeros_like(mean) if bias is None else bias
    y = np.empty_like(rows)
    parallel_spans(
        lambda first, last: _normalise(rows[first:last], y[first:last], mean, gain, shift), *y.shape
    )
    return maps(y.reshape(x.shape)), mean, invstd


def batch_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    invstd: np.ndarray,
    weight: np.ndarray | None,
    training: bool,
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return (dx, dweight, dbias) of ``batch_norm``, None where not needed."""
    x, dy = pixels(x), pixels(dy)
    rows, cotangents = (a.reshape(-1, x.shape[3]) for a in (x, dy))
    dbias = row_sums(cotangents)
    dweight = invstd * _summed(
        lambda *part: _add_products(cotangents, rows, mean, *part), rows.shape
    )
    dx = None
    if needs[0]:
        gain = invstd if weight is None else invstd * weight
        sums = (dbias, dweight * invstd) if training else None
        dx = maps(_input_gradient(cotangents, rows, mean, gain, sums).reshape(x.shape))
    return (
        dx,
        dweight.astype(x.dtype) if needs[1] else None,
        dbias.astype(x.dtype) if needs[2] else None,
    )


def _input_gradient(dy, rows, mean, gain, sums) -> np.ndarray:
    """Return dx; the statistics depend on x, and their share ``sums`` exists, in training only."""
    dx = np.empty_like(rows)
    if sums is None:
        zero = np.zeros_like(mean)
        parallel_spans(lambda a, b: _normalise(dy[a:b], dx[a:b], zero, gain, zero), *dx.shape)
        return dx
    level, slope = ((s / max(1, len(rows))).astype(rows.dtype) for s in sums)
    parallel_spans(
        lambda a, b: _spread(dy[a:b], rows[a:b], dx[a:b], mean, gain, level, slope), *dx.shape
    )
    return dx


def row_sums(rows: np.ndarray) -> np.ndarray:
    """Return the sum of the rows (L, C), (C,) in float64."""
    return _summed(lambda *part: _add(rows, *part), rows.shape)


def _summed(add: Callable[[int, int, np.ndarray], None], shape: tuple[int, int]) -> np.ndarray:
    """Sum what ``add(first, last, total)`` adds to ``total`` (C,) for each strip of the rows."""
    strips = spans(shape[0], max(1, GRAIN // max(1, shape[1])))
    totals = np.zeros((len(strips), shape[1]))
    parallel_for(lambda index: add(*strips[index], totals[index]), len(strips))
    return totals.sum(0)


@jit
def _add(rows, first, last, total):
    for line in range(first, last):
        row = rows[line]
        for c in range(total.size):
            total[c] += row[c]


@jit
def _add_squares(rows, mean, first, last, total):
    for line in range(first, last):
        row = rows[line]
        for c in range(total.size):
            total[c] += (row[c] - mean[c]) * (row[c] - mean[c])


@jit
def _add_products(dy, rows, mean, first, last, total):
    for line in range(first, last):
        cotangent, row = dy[line], rows[line]
        for c in range(total.size):
            total[c] += cotangent[c] * (row[c] - mean[c])


@jit
def _normalise(rows, y, mean, gain, shift):
    for line in range(rows.shape[0]):
        row, target = rows[line], y[line]
        for c in range(row.size):
            target[c] = (row[c] - mean[c]) * gain[c] + shift[c]


@jit
def _spread(dy, rows, dx, mean, gain, level, slope):
    """``dx = gain * (dy - mean(dy) - xhat * mean(dy * xhat))``, the means as level and slope."""
    for line in range(dy.shape[0]):
        cotangent, row, target = dy[line], rows[line], dx[line]
        for c in range(row.size):
            target[c] = gain[c] * (cotangent[c] - level[c] - (row[c] - mean[c]) * slope[c])
