"""Softmax cross-entropy over the pixels of a score map (DeepLab, section 4).

With log-probabilities l = log_softmax(scores), class weights w and a target distribution t over the
C classes of a pixel (one class, or given probabilities, smoothed by e: t <- (1-e) t + e/C),

    loss(pixel) = - sum over c of  w[c] t[c] l[c]          0 where the label is ignore_index

reduction "none" returns that, "sum" adds it up, "mean" divides the sum by the weights of the
counted pixels' labels (class labels) or by the number of pixels (class probabilities).

Shapes: scores (N, C, L), weight (C,) or None,
target (N, L) int64 class labels or (N, C, L) class probabilities.
"""

from __future__ import annotations

import numpy as np

from minideeplab.ops.activation import log_softmax, log_softmax_backward


@np.errstate(invalid="ignore")  # 0 * inf is NaN, and not worth a warning
def cross_entropy(
    scores: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> np.ndarray:
    """The loss: (N, L) for reduction "none", else (). NaN for the mean over no pixel at all."""
    weight = class_weights(scores, weight)
    log_p = log_softmax(scores, 1)
    if target.ndim == 2:
        loss = _label_loss(log_p, target, weight, ignore_index, label_smoothing)
    else:
        t = (1 - label_smoothing) * target + label_smoothing / len(weight)
        loss = -(weight[:, None] * t * log_p).sum(axis=1)  # (N, L)
    if reduction == "mean":
        return loss.sum() / total_weight(target, weight, ignore_index)
    return loss.sum() if reduction == "sum" else loss


def _label_loss(
    log_p: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    ignore_index: int,
    label_smoothing: float,
) -> np.ndarray:
    """The loss of each pixel for class labels, (N, L).

    The label's log-probability is picked, not multiplied by a one-hot vector: 0 * -inf would be NaN
    where another class is impossible.
    """
    counted = target != ignore_index
    label = np.where(counted, target, 0)
    chosen = np.take_along_axis(log_p, label[:, None], 1)[:, 0]
    loss = -(1 - label_smoothing) * weight[label] * chosen
    if label_smoothing:
        loss -= label_smoothing / len(weight) * (weight[:, None] * log_p).sum(axis=1)
    return np.where(counted, loss, 0)


@np.errstate(invalid="ignore")
def cross_entropy_backward(
    dloss: np.ndarray,
    scores: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> np.ndarray:
    """dscores (N, C, L) for dloss (N, L) or ().

    Without weights it is (softmax(scores) - t) times the pixel's share of dloss.
    """
    weight = class_weights(scores, weight)
    if target.ndim == 2:
        t = _one_hot(target, len(weight), ignore_index, label_smoothing)
    else:
        t = (1 - label_smoothing) * target + label_smoothing / len(weight)
    if reduction == "mean":
        dloss = dloss / total_weight(target, weight, ignore_index)
    share = dloss[:, None] if reduction == "none" else dloss  # (N, 1, L) or ()
    dlog_p = np.where(t == 0, 0, -share * weight[:, None] * t).astype(scores.dtype)
    return log_softmax_backward(dlog_p, log_softmax(scores, 1), 1)


def _one_hot(
    target: np.ndarray, channels: int, ignore_index: int, label_smoothing: float
) -> np.ndarray:
    """The target distribution t (N, C, L) of labels (N, L); all 0 where a label is ignored."""
    hot = target[:, None] == np.arange(channels)[:, None]
    t = (1 - label_smoothing) * hot + label_smoothing / channels
    return np.where(target[:, None] == ignore_index, 0, t)


def class_weights(scores: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """The weights (C,) as given, or ones."""
    return np.ones(scores.shape[1], scores.dtype) if weight is None else weight


def total_weight(target: np.ndarray, weight: np.ndarray, ignore_index: int) -> np.floating:
    """What "mean" divides by: the weight of the labels that count, or the number of pixels.

    NaN instead of 0: no pixel has no mean, and an ignored one still gets the gradient 0.
    """
    if target.ndim == 3:
        total = weight.dtype.type(target.shape[0] * target.shape[2])
    else:
        total = weight[target[target != ignore_index]].sum()
    return total if total else weight.dtype.type(np.nan)
