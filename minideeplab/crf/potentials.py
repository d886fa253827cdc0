"""What goes into a dense CRF: unary energies, and the features of the pairwise kernels.

Energies are negative log-probabilities, (C, ...), labels first. Features are (D, N), divided by
the kernel's widths, pixels in raster order. The order of the features matters a little, because
the lattice is not invariant to it; here it is pydensecrf's: x before y before colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np

WIDEST = 1e30  # beyond it, and below its inverse, float32 features overflow
SUM_TOLERANCE = 1e-2  # float16 softmax and interpolated scores stay well within


def unary_from_probabilities(probabilities: np.ndarray, clip: float = 1e-5) -> np.ndarray:
    """Return -log p, with p clipped to [clip, 1], for probabilities (C, ...).

    Raises ValueError unless the probabilities are finite, in [0, 1], and sum to 1 over the labels.
    """
    p = as_float(probabilities, "probabilities")
    if p.ndim < 2 or 0 in p.shape:
        raise ValueError(f"probabilities must be (C, ...) and not empty, got shape {p.shape}")
    check_finite(p, "probabilities")
    if not 0 < clip < 1:
        raise ValueError(f"clip must be in (0, 1), got {clip}")
    low, high, off = p.min(), p.max(), np.abs(p.sum(axis=0) - 1).max()
    if low < -SUM_TOLERANCE or high > 1 + SUM_TOLERANCE:
        raise ValueError(f"probabilities must be in [0, 1], got values from {low:g} to {high:g}")
    if off > SUM_TOLERANCE and len(p) == 1:
        raise ValueError(
            f"probabilities must have a row for each label, got shape {p.shape}; for two labels "
            "pass np.concatenate([1 - p, p])"
        )
    if off > SUM_TOLERANCE:
        raise ValueError(
            f"probabilities must sum to 1 over the first axis (labels), got a sum off by {off:g}; "
            "apply a softmax to scores first"
        )
    return -np.log(np.clip(p, clip, 1))


def unary_from_labels(
    labels: np.ndarray, n_labels: int, certainty: float = 0.7, unknown: int | None = None
) -> np.ndarray:
    """Return energies (n_labels, ...) float32 for a label map that is right with ``certainty``.

    Pixels labelled ``unknown`` could be anything: log n_labels for every label. Raises ValueError
    for labels that are not integers in 0..n_labels-1, and for a certainty outside (0, 1).
    """
    labels = np.asarray(labels)
    if n_labels < 1:
        raise ValueError(f"n_labels must be at least 1, got {n_labels}")
    if not 0 < certainty < 1:
        raise ValueError(f"certainty must be in (0, 1), got {certainty}")
    if labels.dtype.kind not in "iub":
        raise TypeError(f"labels must be integers, got {labels.dtype}")
    known = np.full(labels.shape, True) if unknown is None else labels != unknown
    wrong = known & ((labels < 0) | (labels >= n_labels))
    if wrong.any():
        raise ValueError(f"labels must be in 0..{n_labels - 1}, got {labels[wrong][0]}")

    if n_labels == 1:
        return np.zeros((1, *labels.shape), np.float32)
    other = -np.log((1 - certainty) / (n_labels - 1))
    here = np.arange(n_labels).reshape(-1, *[1] * labels.ndim) == labels
    energies = np.where(here, -np.log(certainty), other)
    return np.where(known, energies, np.log(n_labels)).astype(np.float32)


def gaussian_features(
    shape: Sequence[int],
    sxy: float | Sequence[float],
    dtype: type = np.float32,
    origin: Sequence[int] | None = None,
) -> np.ndarray:
    """Return pixel positions over their widths, (D, N), for an image of ``shape`` (..., H, W).

    The last axis comes first: x / sx, y / sy, z / sz. ``sxy`` is a number or (sx, sy, ...).
    ``origin`` (..., y, x) is the position of the first pixel if the image is a tile of another.
    """
    widths = as_widths(sxy, len(shape), "sxy")
    axes = np.indices(shape, dtype=dtype)
    if origin is not None:
        axes += np.asarray(origin, dtype).reshape(-1, *[1] * len(shape))
    axes = axes[::-1].reshape(len(shape), -1)  # (D, N)
    return np.stack([axis / dtype(w) for axis, w in zip(axes, widths, strict=True)])


def bilateral_features(
    image: np.ndarray,
    sxy: float | Sequence[float],
    srgb: float | Sequence[float],
    dtype: type = np.float32,
    origin: Sequence[int] | None = None,
) -> np.ndarray:
    """Return positions and colours over their widths, (D, N), for an image (..., H, W, channels).

    ``srgb`` is a number or one per channel, in the image's own units; ``sxy`` and ``origin`` as
    in :func:`gaussian_features`.
    """
    channels = np.moveaxis(image, -1, 0).reshape(image.shape[-1], -1).astype(dtype)
    widths = as_widths(srgb, len(channels), "srgb")
    colours = [channel / dtype(w) for channel, w in zip(channels, widths, strict=True)]
    return np.concatenate([gaussian_features(image.shape[:-1], sxy, dtype, origin), colours])


def as_widths(widths: float | Sequence[float], count: int, name: str) -> tuple[float, ...]:
    """Return ``count`` positive kernel widths from a number or a sequence; ValueError otherwise."""
    given = (widths,) * count if isinstance(widths, Real) else tuple(np.asarray(widths).flat)
    if len(given) != count:
        raise ValueError(f"{name} must be a number or {count} numbers, got {len(given)}")
    if not all(isinstance(w, Real) and 1 / WIDEST < w < WIDEST for w in given):
        raise ValueError(f"{name} must be positive and finite, got {widths}")
    return tuple(float(w) for w in given)


def as_float(array: np.ndarray, name: str) -> np.ndarray:
    """Return ``array`` as float32 or float64, whichever holds its dtype; TypeError if not real."""
    array = np.asarray(array)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    wide = array.dtype.itemsize > 4 or array.dtype.kind != "f"
    return array.astype(np.float64 if wide else np.float32, copy=False)


def check_finite(array: np.ndarray, name: str) -> None:
    """Raise ValueError if ``array`` contains NaN or infinity."""
    if not np.isfinite(array).all():
        bad = "NaN" if np.isnan(array).any() else "infinity"
        raise ValueError(f"{name} must be finite, got {bad}")


def check_energies(unary: np.ndarray) -> None:
    """Raise ValueError unless every pixel of energies (C, ...) has a label with a finite one.

    Infinity makes a label impossible at a pixel; it is the energy of probability 0.
    """
    if np.isfinite(unary).all():
        return
    forbidden = unary == np.inf
    check_finite(np.where(forbidden, 0, unary), "unary")
    count = int(forbidden.all(axis=0).sum())
    if count:
        raise ValueError(f"unary must leave each pixel a label, got infinity for all at {count}")


def check_image(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return ``image`` as (*shape, channels); ValueError if it does not fit ``shape``."""
    image = np.asarray(image)
    image = image[..., None] if image.ndim == len(shape) else image
    if image.shape[:-1] != shape:
        swapped = image.shape[:-1] == shape[::-1]
        raise ValueError(
            f"image must have shape {(*shape, 'channels')} to match the unary, got {image.shape}"
            + ("; width and height seem swapped" if swapped else "")
        )
    check_finite(as_float(image, "image"), "image")
    return image


def check_grey_values(image: np.ndarray, name: str = "image") -> np.ndarray:
    """Return the image; ValueError if its values cannot be grey values of 0..255."""
    image = np.asarray(image)
    if image.ndim < 2 or image.dtype.kind not in "fiub":
        raise ValueError(f"{name} must be (H, W, 3) numbers, got {image.dtype} {image.shape}")
    if image.dtype == np.uint8 or image.size == 0:
        return image
    low, high = image.min(), image.max()
    if not (low >= 0 and high <= 255):  # also catches NaN
        raise ValueError(f"{name} must have values in 0..255, got {low} to {high}")
    if image.dtype.kind in "fb" and 0 < high <= 1:
        raise ValueError(f"{name} must have values in 0..255, got 0..1 (maximum {high}); times 255")
    return image


def check_labels(labels: np.ndarray, shape: tuple[int, ...], n_labels: int) -> np.ndarray:
    """Return ``labels``; ValueError unless integers in 0..n_labels-1 of ``shape``."""
    labels = np.asarray(labels)
    if labels.shape != shape or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be integers of shape {shape}, got {labels.dtype} of {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= n_labels:
        raise ValueError(f"labels must be in 0..{n_labels - 1}, got {labels.min()}..{labels.max()}")
    return labels
