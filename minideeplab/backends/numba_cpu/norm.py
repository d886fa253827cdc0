"""Batch normalisation, channels last: sums over the rows of a matrix (N * H * W, C).

Rows are summed a strip at a time in float64; the strips depend on the shape only, so that the sums
are the same bits whatever the number of threads. What a layer of these costs is the way of its maps
through memory, so each direction reads them twice, and a ReLU that follows costs no third time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minideeplab.backends.numba_cpu.jit import jit
from minideeplab.backends.numba_cpu.layout import maps, pixels
from minideeplab.backends.numba_cpu.threads import GRAIN, parallel_for, parallel_spans, spans

SAMPLE = 256  # rows, about, whose mean is near enough to that of all

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
        mean, var = _statistics(rows)
    invstd = (1 / np.sqrt(var + eps)).astype(x.dtype)
    mean = mean.astype(x.dtype)
    gain = invstd if weight is None else invstd * weight
    shift = np.zeros_like(mean) if bias is None else bias
    y, least = np.empty_like(rows), x.dtype.type(0 if rectify else -np.inf)
    parallel_spans(
        lambda first, last: _normalise(rows[first:last], y[first:last], mean, gain, shift, least),
        *y.shape,
    )
    return maps(y.reshape(x.shape)), mean, invstd


def batch_norm_relu(*arguments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return max(y, 0), the mean and 1 / sqrt(var + eps) for the arguments of ``batch_norm``."""
    return batch_norm(*arguments, rectify=True)


def _statistics(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and biased variance of the rows (L, C), both (C,) in float64, in one pass.

    What is summed are differences from the mean of some rows, so that no digits are lost when the
    square of the differences' mean is taken off.
    """
    count, channels, some = max(1, len(rows)), rows.shape[1], rows[:: max(1, len(rows) // SAMPLE)]
    centre = some.sum(0, dtype=np.float64) / max(1, len(some))
    sums = _summed(lambda *part: _add_moments(rows, centre, *part), rows.shape, 2 * channels)
    offset, square = sums[:channels] / count, sums[channels:] / count
    return centre + offset, np.maximum(square - offset * offset, 0)


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

    ``y`` is the output if that was rectified: where it is 0, dy goes no further.
    """
    x, dy = pixels(x), pixels(dy)
    rows, cotangents = (a.reshape(-1, x.shape[3]) for a in (x, dy))
    kept = cotangents if y is None else pixels(y).reshape(rows.shape)
    given, rectified, channels = (cotangents, rows, kept), y is not None, x.shape[3]
    sums = _summed(
        lambda *part: _add_products(*given, rectified, mean, *part), rows.shape, 2 * channels
    )
    dbias, dweight = sums[:channels], sums[channels:] * invstd
    dx = None
    if needs[0]:
        gain = invstd if weight is None else invstd * weight
        statistics = (sums / max(1, len(rows))).astype(x.dtype) if training else None
        dx = _input_gradient(given, rectified, mean, gain, invstd, statistics)
        dx = maps(dx.reshape(x.shape))
    return (
        dx,
        dweight.astype(x.dtype) if needs[1] else None,
        dbias.astype(x.dtype) if needs[2] else None,
    )


def _input_gradient(given, rectified, mean, gain, invstd, shares) -> np.ndarray:
    """Return dx (L, C) from what is ``given``: dy, x and y.

    In training the statistics depend on x, and take their ``shares`` from dy: its mean and the mean
    of dy * (x - mean).
    """
    dx = np.empty_like(given[0])
    if shares is None:
        dy, _, y = given
        parallel_spans(lambda a, b: _scale(dy[a:b], y[a:b], rectified, dx[a:b], gain), *dx.shape)
        return dx
    level, slope = shares[: mean.size], shares[mean.size :] * invstd * invstd
    parallel_spans(
        lambda a, b: _spread(
            *(part[a:b] for part in given), rectified, dx[a:b], mean, gain, level, slope
        ),
        *dx.shape,
    )
    return dx


def batch_norm_relu_backward(dy: np.ndarray, y: np.ndarray, *arguments) -> Gradients:
    """Return the gradients of ``batch_norm_relu`` from its output y (N, C, H, W)."""
    return batch_norm_backward(dy, *arguments, y=y)


def row_sums(rows: np.ndarray) -> np.ndarray:
    """Return the sum of the rows (L, C), (C,) in float64."""
    return _summed(lambda *part: _add(rows, *part), rows.shape, rows.shape[1])


def _summed(
    add: Callable[[int, int, np.ndarray], None], shape: tuple[int, int], width: int
) -> np.ndarray:
    """Sum what ``add(first, last, total)`` adds to ``total`` (width,) for each strip of rows."""
    strips = spans(shape[0], max(1, GRAIN // max(1, shape[1])))
    totals = np.zeros((len(strips), width))
    parallel_for(lambda index: add(*strips[index], totals[index]), len(strips))
    return totals.sum(0)


@jit
def _add(rows, first, last, total):
    for line in range(first, last):
        row = rows[line]
        for c in range(total.size):
            total[c] += row[c]


@jit
def _add_moments(rows, centre, first, last, total):
    """Add the differences from the centre to the first half of total, their squares after it."""
    sums, squares = total[: centre.size], total[centre.size :]
    for line in range(first, last):
        row = rows[line]
        for c in range(row.size):
            difference = row[c] - centre[c]
            sums[c] += difference
            squares[c] += difference * difference


@jit
def _add_products(dy, rows, y, rectified, mean, first, last, total):
    """Add dy to the first half of total, dy * (x - mean) to the second."""
    sums, products = total[: mean.size], total[mean.size :]
    for line in range(first, last):
        cotangent, row, kept = dy[line], rows[line], y[line]
        for c in range(row.size):
            share = _passed(cotangent[c], kept[c], rectified)
            sums[c] += share
            products[c] += share * (row[c] - mean[c])


@jit
def _passed(cotangent, y, rectified):
    """Return the cotangent, or 0 where the ReLU gave 0 (a NaN lets it pass)."""
    return cotangent * 0 if rectified and y <= 0 else cotangent


@jit
def _normalise(rows, y, mean, gain, shift, least):
    for line in range(rows.shape[0]):
        row, target = rows[line], y[line]
        for c in range(row.size):
            value = (row[c] - mean[c]) * gain[c] + shift[c]
            target[c] = least if value <= least else value


@jit
def _scale(dy, y, rectified, dx, gain):
    for line in range(dy.shape[0]):
        cotangent, kept, target = dy[line], y[line], dx[line]
        for c in range(cotangent.size):
            target[c] = _passed(cotangent[c], kept[c], rectified) * gain[c]


@jit
def _spread(dy, rows, y, rectified, dx, mean, gain, level, slope):
    """``dx = gain * (dy - mean(dy) - xhat * mean(dy * xhat))``, the means as level and slope."""
    for line in range(dy.shape[0]):
        cotangent, row, kept, target = dy[line], rows[line], y[line], dx[line]
        for c in range(row.size):
            share = _passed(cotangent[c], kept[c], rectified)
            target[c] = gain[c] * (share - level[c] - (row[c] - mean[c]) * slope[c])
