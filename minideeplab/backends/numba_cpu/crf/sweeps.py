"""The compiled sweeps of ``meanfield.py``: slice, softmax and splat a range of pixels.

``terms`` are its ``Tables``. ``owned`` and ``kept`` are for what later ranges add to a vertex.
"""

from __future__ import annotations

import numpy as np

from minideeplab.backends.numba_cpu.crf import passes
from minideeplab.backends.numba_cpu.runtime.jit import jit

PADDING_SCORE = -np.inf  # of the lanes that pad a row


@jit
def begin_range(unary, q, start, stop, scores, terms, owned, kept):
    """Write the scores -U of pixels start:stop, and splat q (C, N), or their softmax if empty.

    No scores are written if their array is empty, (0, lanes): they are read from U each time.
    """
    tile = np.zeros((passes.TILE, scores.shape[1]), scores.dtype)
    for first in range(start, stop, passes.TILE):
        rows = tile[: min(passes.TILE, stop - first)]
        read_scores(unary, first, rows)
        if scores.size > 0:
            passes.keep(rows, first, scores)
        passes.softmax(rows)
        if q.size > 0:
            passes.read_points(q, first, rows)
        spread(rows, first, terms, owned, kept)


@jit
def sweep_range(unary, scores, start, stop, terms, owned, kept):
    """Slice, softmax and splat for the pixels start:stop."""
    tile = np.empty((passes.TILE, scores.shape[1]), scores.dtype)
    messages = np.empty_like(tile)
    for first in range(start, stop, passes.TILE):
        rows = tile[: min(passes.TILE, stop - first)]
        update(unary, scores, first, terms, messages, rows)
        spread(rows, first, terms, owned, kept)


@jit
def finish_range(unary, scores, start, stop, terms, result):
    """Slice and softmax for the pixels start:stop, into the result (C, N)."""
    tile = np.empty((passes.TILE, scores.shape[1]), scores.dtype)
    messages = np.empty_like(tile)
    for first in range(start, stop, passes.TILE):
        rows = tile[: min(passes.TILE, stop - first)]
        update(unary, scores, first, terms, messages, rows)
        passes.write_points(rows, first, result)


@jit
def run_alone(
    unary, start, iterations, scores, terms, swapped, chains, bounds, owned, kept, result
):
    """Do all iterations on one thread; ``swapped`` are the terms with source and target exchanged.

    The same sums in the same order as in several calls: see :class:`MeanField`.
    """
    n = unary.shape[1]
    begin_range(unary, start, 0, n, scores, terms, owned, kept)
    for iteration in range(iterations):
        now = swapped if iteration % 2 == 0 else terms
        for k in range(len(now)):
            now[k].target[:] = 0
            for axis in range(len(bounds[k]) - 1):
                passes.blur(chains[k], bounds[k][axis], bounds[k][axis + 1], now[k].source)
        if iteration + 1 < iterations:
            sweep_range(unary, scores, 0, n, now, owned, kept)
        else:
            finish_range(unary, scores, 0, n, now, result)


@jit
def read_scores(unary, first, rows):
    """Fill rows (tile, lanes) with the scores -U of the pixels from ``first`` on."""
    passes.read_points(unary, first, rows)
    passes.negate(rows, unary.shape[0], PADDING_SCORE)


@jit
def update(unary, scores, first, terms, messages, rows):
    """Fill rows (tile, lanes) with the probabilities that follow from the messages."""
    base, start = scores, first
    if scores.size == 0:
        read_scores(unary, first, rows)
        base, start = rows, 0
    for k in range(len(terms)):
        t = terms[k]
        if len(t.compat) == 1:
            passes.subtract_slice(
                t.source, t.corners, t.weights, t.after, t.compat, first, base, start, rows
            )
        else:
            passes.slice_(t.source, t.corners, t.weights, t.after, first, messages[: len(rows)])
            passes.subtract_product(messages, t.compat, base, start, rows)
        base, start = rows, 0
    passes.softmax(rows)


@jit
def spread(rows, first, terms, owned, kept):
    """Splat the rows (tile, lanes) into all terms; keep them if any entry is deferred."""
    left = 0
    for k in range(len(terms)):
        t = terms[k]
        left += passes.splat(rows, t.corners, t.weights, t.before, first, owned[k], t.target)
    if left > 0:
        passes.keep(rows, first, kept)
