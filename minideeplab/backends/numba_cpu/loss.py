"""Cross-entropy as its definition, run on strips of pixels that fit the cache."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minideeplab import ops
from minideeplab.backends.numba_cpu.threads import parallel_for, spans
from minideeplab.ops.loss import class_weights, total_weight

STRIP = 1 << 13  # scores in a strip: the dozen arrays that the definition makes stay in cache


def _for_each_strip(task: Callable[[int, slice], None], shape: tuple[int, int, int]) -> None:
    """Call ``task(n, pixels)`` on every strip of scores (N, C, L)."""
    count, channels, length = shape
    strips = [slice(*s) for s in spans(length, max(1, STRIP // max(1, channels)))]
    parallel_for(lambda i: task(i // len(strips), strips[i % len(strips)]), count * len(strips))


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
    options = (weight, ignore_index, "none", label_smoothing)

    def run(n: int, part: slice) -> None:
        strip = np.ascontiguousarray(scores[n : n + 1, :, part])
        losses[n, part] = ops.cross_entropy(strip, target[n : n + 1, ..., part], *options)[0]

    _for_each_strip(run, scores.shape)
    if reduction == "mean":
        return losses.sum() / total_weight(target, class_weights(scores, weight), ignore_index)
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
    if reduction == "mean":
        dloss = dloss / total_weight(target, class_weights(scores, weight), ignore_index)
    dloss = np.broadcast_to(dloss, (scores.shape[0], scores.shape[2]))
    dscores = np.empty_like(scores)
    options = (weight, ignore_index, "none", label_smoothing)

    def run(n: int, part: slice) -> None:
        strip = np.ascontiguousarray(scores[n : n + 1, :, part])
        dscores[n, :, part] = ops.cross_entropy_backward(
            dloss[n : n + 1, part], strip, target[n : n + 1, ..., part], *options
        )[0]

    _for_each_strip(run, scores.shape)
    return dscores
