"""Cross-entropy of labels in one pass over the scores; other targets by the definition.

A pixel's scores are side by side. Three short loops run over a block of pixels while it is in the
first cache: subtract each pixel's largest score, compute all exponentials as vectors, sum. Class
probabilities and label smoothing, which segmentation does not use, run the definition on strips
that fit the cache.
"""

from __future__ import annotations

import numpy as np

from minideeplab import ops
from minideeplab.backends.numba_cpu.exponential import exponential
from minideeplab.backends.numba_cpu.layout import pixels
from minideeplab.backends.numba_cpu.runtime.jit import jit
from minideeplab.backends.numba_cpu.runtime.parallel import (
    parallel_for,
    parallel_kernel,
    parallel_range,
    spans,
)
from minideeplab.backends.numba_cpu.simd import WIDTH, load, store
from minideeplab.ops.loss import class_weights, total_weight

STRIP = 1 << 13  # scores in a strip: the dozen arrays of the definition stay in cache
BLOCK = 256  # pixels whose exponentials are computed at once


def cross_entropy(
    scores: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> np.ndarray:
    """Return the loss, (N, L) or (), of scores (N, C, L); see ``ops.cross_entropy``."""
    losses = np.empty((scores.shape[0], scores.shape[2]), scores.dtype)
    weights = class_weights(scores, weight)
    if _plain(scores, target, label_smoothing):
        rows, labels, flat = _rows(scores), target.reshape(-1), losses.reshape(-1)
        operands = rows, labels, weights, ignore_index, flat
        parallel_range(_losses, len(rows), *operands, work=rows.shape[1])
    else:
        options = (weight, ignore_index, "none", label_smoothing)
        _by_definition(losses, ops.cross_entropy, (), scores, target, options)
    if reduction == "mean":
        return losses.sum() / total_weight(target, weights, ignore_index)
    return losses.sum() if reduction == "sum" else losses


def cross_entropy_backward(
    dloss: np.ndarray,
    scores: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> np.ndarray:
    """Return dscores (N, C, L) for dloss (N, L) or ()."""
    weights = class_weights(scores, weight)
    if reduction == "mean":
        dloss = dloss / total_weight(target, weights, ignore_index)
    dloss = np.broadcast_to(np.asarray(dloss, scores.dtype), (scores.shape[0], scores.shape[2]))
    if _plain(scores, target, label_smoothing):
        rows, labels, shares = _rows(scores), target.reshape(-1), dloss.reshape(-1)
        drows = np.empty_like(rows)
        operands = shares, rows, labels, weights, ignore_index, drows
        parallel_range(_gradients, len(rows), *operands, work=rows.shape[1])
        return drows.reshape(*dloss.shape, scores.shape[1]).transpose(0, 2, 1)
    dscores = np.empty_like(scores)
    options = (weight, ignore_index, "none", label_smoothing)
    _by_definition(dscores, ops.cross_entropy_backward, (dloss,), scores, target, options)
    return dscores


def _plain(scores: np.ndarray, target: np.ndarray, label_smoothing: float) -> bool:
    return target.ndim == 2 and not label_smoothing and scores.shape[1] > 0


def _rows(scores: np.ndarray) -> np.ndarray:
    """Return scores (N, C, L) as a matrix (N * L, C)."""
    return pixels(scores[..., None]).reshape(-1, scores.shape[1])


def _by_definition(result, definition, cotangents, scores, target, options) -> None:
    """Fill ``result`` (N, ..., L) by the definition, on strips of scores (N, C, L)."""
    count, channels, length = scores.shape
    strips = spans(length, max(1, STRIP // max(1, channels)))

    def run(index: int) -> None:
        n, part = index // len(strips), slice(*strips[index % len(strips)])
        strip = np.ascontiguousarray(scores[n : n + 1, :, part])
        given = (a[n : n + 1, part] for a in cotangents)
        labels = target[n : n + 1, ..., part]
        result[n, ..., part] = definition(*given, strip, labels, *options)[0]

    parallel_for(run, count * len(strips))


@jit
def _powers(scores, tops, totals, powers):
    """Fill ``powers[0]`` = exp(scores - top) and each row's largest score and sum of powers.

    The top of a row with NaN or +inf, or only -inf, is NaN: its softmax is NaN.
    """
    at, nothing = 0, scores.dtype.type(np.nan)
    for line in range(scores.shape[0]):
        row = scores[line]
        top = row[0]
        for c in range(row.size):
            top = row[c] if row[c] > top or row[c] != row[c] else top
        top = top if np.isfinite(top) else nothing
        tops[line] = top
        for c in range(row.size):
            powers[0, at + c] = row[c] - top
        at += row.size
    for lane in range(0, at, WIDTH):
        store(powers, 0, lane, exponential(load(powers, 0, lane)))
    for line in range(scores.shape[0]):
        at = line * scores.shape[1]
        totals[line] = powers[0, at]
        for c in range(1, scores.shape[1]):
            totals[line] += powers[0, at + c]


@parallel_kernel
def _losses(first, last, thread_id, scores, target, weight, ignore_index, losses):
    """``losses`` = weight * (log sum exp(scores) - the label's score); 0 where it is ignored."""
    scores, target, losses = scores[first:last], target[first:last], losses[first:last]
    channels = scores.shape[1]
    tops, totals = np.empty(BLOCK, scores.dtype), np.empty(BLOCK, scores.dtype)
    powers = np.zeros((1, BLOCK * channels + WIDTH), scores.dtype)
    for begin in range(0, target.size, BLOCK):
        end = min(target.size, begin + BLOCK)
        _powers(scores[begin:end], tops, totals, powers)
        for line in range(begin, end):
            label, losses[line] = target[line], 0
            if label != ignore_index:
                top, total = tops[line - begin], totals[line - begin]
                chosen = scores[line, label] - top - np.log(total)
                losses[line] = -weight[label] * chosen


@parallel_kernel
def _gradients(first, last, thread_id, shares, scores, target, weight, ignore_index, dscores):
    """``dscores`` = share * weight * (softmax - 1 at the label); 0 where it is ignored."""
    shares, scores = shares[first:last], scores[first:last]
    target, dscores = target[first:last], dscores[first:last]
    channels = scores.shape[1]
    tops, totals = np.empty(BLOCK, scores.dtype), np.empty(BLOCK, scores.dtype)
    powers = np.zeros((1, BLOCK * channels + WIDTH), scores.dtype)
    for begin in range(0, target.size, BLOCK):
        end = min(target.size, begin + BLOCK)
        _powers(scores[begin:end], tops, totals, powers)
        for line in range(begin, end):
            label, at = target[line], (line - begin) * channels
            counted = label != ignore_index
            share = shares[line] * weight[label] if counted else weight.dtype.type(0)
            factor = share / totals[line - begin]
            for c in range(channels):
                dscores[line, c] = powers[0, at + c] * factor
            if counted:
                dscores[line, label] -= share
