"""Sharpen a network's probabilities with a dense CRF, in one call and with published settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from minideeplab.crf.dense import DenseCRF
from minideeplab.crf.potentials import (
    as_float,
    bilateral_features,
    check_grey_values,
    check_image,
    gaussian_features,
    unary_from_probabilities,
)

OVERLAP = 128  # pixels by which neighbouring tiles overlap, blended linearly


@dataclass(frozen=True)
class CRFParameters:
    """Kernel weights and widths, in the paper's names (arXiv 1606.00915, equation 3).

    ``w1``, ``sigma_alpha`` (pixels) and ``sigma_beta`` (grey values, 0..255) belong to the
    bilateral kernel, ``w2`` and ``sigma_gamma`` (pixels) to the smoothness kernel.
    """

    w1: float
    sigma_alpha: float
    sigma_beta: float
    w2: float = 3.0
    sigma_gamma: float = 3.0


PARAMETERS = {
    "v1": CRFParameters(5, 50, 10),
    "v1-msc": CRFParameters(3, 95, 3),
    "v1-largefov": CRFParameters(4, 121, 5),
    "v1-msc-largefov": CRFParameters(4, 83, 5),
    "v1-coco-largefov": CRFParameters(5, 69, 5),
    "v1-msc-coco-largefov": CRFParameters(4, 59, 5),
    "v2-vgg16": CRFParameters(4, 65, 3, 2, 2),
    "v2-resnet101": CRFParameters(4, 67, 3, 3, 1),
    "pydensecrf-example": CRFParameters(10, 80, 13),
}


def crf_parameters(parameters: str | CRFParameters) -> CRFParameters:
    """Return a published set by name; ValueError lists the names."""
    if isinstance(parameters, CRFParameters):
        return parameters
    if parameters not in PARAMETERS:
        raise ValueError(f"parameters must be one of {sorted(PARAMETERS)}, got {parameters!r}")
    return PARAMETERS[parameters]


def refine(
    image: np.ndarray,
    probabilities: np.ndarray,
    iterations: int = 10,
    parameters: str | CRFParameters = "v1-largefov",
    *,
    normalization: str = "symmetric",
    method: str = "lattice",
    self_term: bool = True,
    max_pixels: int = 1 << 22,
) -> np.ndarray:
    """Refine label probabilities with a Gaussian and a bilateral kernel, as DeepLab does.

    Args:
        image: (H, W, 3), grey values in 0..255; or a volume (D, H, W, channels).
        probabilities: (C, H, W) or (C, D, H, W), sums of 1 over the labels. A batch has an image
            axis first: images (B, H, W, 3) with probabilities (B, C, H, W); if the shapes could
            be either, it is a batch.
        iterations: mean-field updates.
        parameters: a name of ``PARAMETERS`` or :class:`CRFParameters`.
        normalization: "symmetric" is pydensecrf's default, "after" what DeepLab's authors ran.
        method, self_term: see :class:`DenseCRF`.
        max_pixels: a larger image is processed in overlapping tiles of at most as many, to bound
            memory; distant links between tiles are lost.

    Returns:
        Refined probabilities of the same shape, float32 or float64.

    Raises:
        ValueError: shapes that do not match, probabilities that do not sum to 1, grey values
            outside 0..255, an unknown name.
    """
    image, probabilities = check_grey_values(image), as_float(probabilities, "probabilities")
    settings = crf_parameters(parameters)
    options = {"normalization": normalization, "method": method, "self_term": self_term}
    if _is_batch(image, probabilities):
        pairs = zip(image, probabilities, strict=True)
        return np.stack(
            [refine(i, p, iterations, settings, max_pixels=max_pixels, **options) for i, p in pairs]
        )
    if image.shape[: probabilities.ndim - 1] != probabilities.shape[1:]:
        raise ValueError(
            "image and probabilities must have the same height and width, "
            f"got {image.shape} and {probabilities.shape}{_hint(image, probabilities)}"
        )

    tiles = list(tile_slices(probabilities.shape[1:], max_pixels))
    if len(tiles) == 1:
        return _refine_whole(image, probabilities, iterations, settings, options)
    refined = np.zeros_like(probabilities)
    weight = np.zeros(probabilities.shape[1:], probabilities.dtype)
    for tile in tiles:
        part = np.ascontiguousarray(probabilities[:, *tile])
        ramp = _blend_weights(part.shape[1:]).astype(refined.dtype)
        origin = tuple(axis.start for axis in tile)
        part = _refine_whole(image[tile], part, iterations, settings, options, origin)
        refined[:, *tile] += part * ramp
        weight[tile] += ramp
    return refined / weight


def build_crf(
    image: np.ndarray,
    probabilities: np.ndarray,
    parameters: str | CRFParameters,
    *,
    normalization: str = "symmetric",
    method: str = "lattice",
    self_term: bool = True,
    origin: tuple[int, ...] | None = None,
) -> DenseCRF:
    """Return DeepLab's CRF for an image (H, W, 3) and probabilities (C, H, W).

    ``origin`` is the position of the first pixel if the image is a tile of a larger one.
    """
    p = crf_parameters(parameters)
    crf = DenseCRF(unary_from_probabilities(probabilities), method, self_term)
    kind, image = crf.dtype.type, check_image(image, crf.shape)
    smooth = gaussian_features(crf.shape, p.sigma_gamma, kind, origin)
    crf.add_pairwise(smooth, p.w2, normalization=normalization)
    colour = bilateral_features(image, p.sigma_alpha, p.sigma_beta, kind, origin)
    crf.add_pairwise(colour, p.w1, normalization=normalization)
    return crf


def tile_slices(shape: tuple[int, ...], max_pixels: int) -> Iterator[tuple[slice, ...]]:
    """Yield slices that cover an array of ``shape`` with overlapping tiles of <= max_pixels.

    Every axis is halved, the longest first, until a tile with its overlap is small enough.
    """
    counts = [1] * len(shape)
    while np.prod(_tile_shape(shape, counts)) > max_pixels:
        tile = _tile_shape(shape, counts)
        longest = int(np.argmax(tile))
        if tile[longest] <= 2 * OVERLAP:
            raise ValueError(f"max_pixels must leave room for overlapping tiles, got {max_pixels}")
        counts[longest] += 1
    tile = _tile_shape(shape, counts)
    starts = [
        np.linspace(0, size - length, count).round().astype(int)
        for size, length, count in zip(shape, tile, counts, strict=True)
    ]
    for corner in product(*starts):
        yield tuple(slice(int(a), int(a) + n) for a, n in zip(corner, tile, strict=True))


def _tile_shape(shape: tuple[int, ...], counts: list[int]) -> list[int]:
    sizes = zip(shape, counts, strict=True)
    return [n if c == 1 else -(-(n + (c - 1) * OVERLAP) // c) for n, c in sizes]


def _blend_weights(shape: tuple[int, ...]) -> np.ndarray:
    """Weights that fall off linearly towards the edges of a tile within the overlap."""
    weights = np.ones(shape)
    for axis, size in enumerate(shape):
        edge = np.minimum(np.arange(size), np.arange(size)[::-1]) + 1
        ramp = np.minimum(edge, OVERLAP) / OVERLAP
        weights *= ramp.reshape(-1, *[1] * (len(shape) - axis - 1))
    return weights


def _hint(image: np.ndarray, probabilities: np.ndarray) -> str:
    """Return how to fix two common shapes: labels last, and one map for two labels."""
    if probabilities.shape == image.shape[:-1]:
        return "; for two labels pass np.stack([1 - p, p])"
    if probabilities.shape[:-1] == image.shape[:-1]:
        return "; labels come first: pass np.moveaxis(p, -1, 0)"
    return ""


def _is_batch(image: np.ndarray, probabilities: np.ndarray) -> bool:
    """Tell images (B, H, W, channels) with (B, C, H, W) from a volume (D, H, W, ...)."""
    if probabilities.ndim != 4 or image.ndim != 4:
        return False
    count, _, height, width = probabilities.shape
    return image.shape[:3] == (count, height, width)


def _refine_whole(
    image: np.ndarray,
    probabilities: np.ndarray,
    iterations: int,
    settings: CRFParameters,
    options: dict,
    origin: tuple[int, ...] | None = None,
) -> np.ndarray:
    crf = build_crf(image, probabilities, settings, origin=origin, **options)
    return crf.inference(iterations).astype(probabilities.dtype, copy=False)
