"""pydensecrf's helpers: unary energies and features of pairwise terms, float32."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Real

import numpy as np

from minideeplab.crf import potentials


def unary_from_labels(
    labels: np.ndarray, n_labels: int, gt_prob: float, zero_unsure: bool = True
) -> np.ndarray:
    """Energies (n_labels, N) of a label map that is right with probability ``gt_prob``.

    With ``zero_unsure`` the labels are 1..n_labels and 0 means unknown: uniform, and not counted
    in ``n_labels``. Raises ValueError for labels out of range or gt_prob outside (0, 1).
    """
    labels = np.asarray(labels).ravel()
    if zero_unsure:
        labels = labels.astype(np.int64) - 1
    unknown = -1 if zero_unsure else None
    return potentials.unary_from_labels(labels, n_labels, gt_prob, unknown)


def compute_unary(labels: np.ndarray, M: int, GT_PROB: float = 0.5) -> np.ndarray:
    """Old name of :func:`unary_from_labels`."""
    _warn_renamed("compute_unary", "unary_from_labels")
    return unary_from_labels(labels, M, GT_PROB)


def unary_from_softmax(
    sm: np.ndarray, scale: float | None = None, clip: float | None = 1e-5
) -> np.ndarray:
    """Energies (C, N), -log of probabilities (C, ...) clipped to [clip, 1].

    ``scale`` in (0, 1] first mixes them with the uniform distribution. A sum other than 1 only
    shifts all energies of a pixel, so it is not checked. Without ``clip`` the energy of 0 is
    infinity: an impossible label. Raises ValueError for NaN, infinity and unclipped negatives.
    """
    sm = potentials.as_float(sm, "sm")
    potentials.check_finite(sm, "sm")
    if scale is not None:
        if not 0 < scale <= 1:
            raise ValueError(f"scale must be in (0, 1], got {scale}")
        sm = scale * sm + (1 - scale) * np.full(sm.shape, 1 / len(sm))
    if clip is not None:
        sm = np.clip(sm, clip, 1)
    elif sm.min() < 0:
        raise ValueError(f"sm must not be negative when clip is None, got {sm.min()}")
    with np.errstate(divide="ignore"):
        return -np.log(sm).reshape(len(sm), -1).astype(np.float32)


def softmax_to_unary(sm: np.ndarray, GT_PROB: float = 1) -> np.ndarray:
    """Old name of :func:`unary_from_softmax`, without clipping."""
    _warn_renamed("softmax_to_unary", "unary_from_softmax")
    return unary_from_softmax(sm, None if GT_PROB == 1 else GT_PROB, clip=None)


def create_pairwise_gaussian(sdims: Sequence[float], shape: Sequence[int]) -> np.ndarray:
    """Positions over ``sdims``, (D, N), row first; ``addPairwiseGaussian`` has x first."""
    sdims = potentials.as_widths(sdims, len(shape), "sdims")
    return potentials.gaussian_features(shape, sdims[::-1])[::-1].copy()


def create_pairwise_bilateral(
    sdims: Sequence[float], schan: float | Sequence[float], img: np.ndarray, chdim: int = -1
) -> np.ndarray:
    """Positions over ``sdims`` (array order) and channels over ``schan``, (D + channels, N).

    ``chdim`` is the axis of the channels of ``img``; -1 means there is none, one channel.
    """
    img = np.asarray(img)
    if img.dtype.kind not in "fiub":
        raise TypeError(f"img must hold real numbers, got {img.dtype}")
    img = img[None] if chdim == -1 else np.moveaxis(img, chdim, 0)  # (channels, ...)
    schan = schan if isinstance(schan, Real) else potentials.as_widths(schan, len(img), "schan")
    positions = create_pairwise_gaussian(sdims, img.shape[1:])
    everything = potentials.bilateral_features(np.moveaxis(img, 0, -1), 1, schan)
    return np.concatenate([positions, everything[len(positions) :]])


def _create_pairwise_gaussian_2d(sx: float, sy: float, shape: Sequence[int]) -> np.ndarray:
    return create_pairwise_gaussian((sx, sy), shape[:2])


def _create_pairwise_bilateral_2d(
    sx: float, sy: float, sr: float, sg: float, sb: float, img: np.ndarray
) -> np.ndarray:
    return create_pairwise_bilateral((sx, sy), (sr, sg, sb), np.asarray(img)[:, :, :3], chdim=2)


def _warn_renamed(old: str, new: str) -> None:
    warnings.warn(f"{old} is deprecated, use {new}", DeprecationWarning, stacklevel=3)
