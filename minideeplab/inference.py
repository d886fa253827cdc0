"""Segment an image: scores, bilinear upsampling, softmax, dense CRF.

At test time the paper upsamples the scores of stride 8 bilinearly (section 3.1), fuses several
scales (section 4.1.2) and refines the result with a fully connected CRF (section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from minideeplab import backends, executors
from minideeplab import functional as F
from minideeplab.nn import evaluating
from minideeplab.ops.resize import linear_source
from minideeplab.segment_arguments import check_segment
from minideeplab.tensor import no_grad
from minideeplab.tiling import blend_tiles

STRIP = 1 << 20  # pixels whose probabilities are interpolated at a time

Network = Callable[[np.ndarray], Any]


def segment(
    image: np.ndarray,
    net: Network,
    crf: bool | Mapping[str, Any] = True,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    fusion: str = "mean",
    max_side: int = 1024,
    tile: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Label every pixel of an image.

    Args:
        image: (H, W, 3) uint8 RGB, any size.
        net: a network with ``preprocessing``: (1, 3, h, w) -> scores (1, C, h', w') on a grid
            whose corners lie on the input's corners.
        crf: whether to refine with the dense CRF; a mapping holds arguments of
            ``minideeplab.crf.refine`` by name, such as ``{"iterations": 5}``. With True the
            network's own (``net.meta["crf"]``) are used if it has some, else DeepLab's.
        scales: factors by which the image is resized before it enters the network. If the image
            is larger than those the network was trained on (``net.meta["image_size"]``), the
            factors are relative to that size, because objects must have the size seen in training.
        flip: use the mirrored image as well.
        fusion: ``"mean"`` of the probabilities or, as the authors, ``"max"`` of the scores.
        max_side: an image with a longer side is processed at that size, and its probabilities
            are interpolated to its own size; this bounds time and memory.
        tile: process the image at its own size, whatever ``max_side`` says, in overlapping tiles
            of this height and width. The CRF still runs on the whole image.

    Returns:
        labels (H, W), uint8 up to 256 classes, and probabilities (C, H, W) float32.

    Raises:
        ValueError: an argument out of its range, or scores that are not finite.
    """
    working = _probabilities(image, net, crf, scales, flip, fusion, max_side, tile)
    if working.shape[1:] == image.shape[:2]:
        return most_probable(working), working
    probabilities = np.empty((len(working), *image.shape[:2]), working.dtype)
    return labels_in_strips(working, image.shape[:2], probabilities), probabilities


def _probabilities(
    image: np.ndarray,
    net: Network,
    crf: bool | Mapping[str, Any] = True,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    fusion: str = "mean",
    max_side: int = 1024,
    tile: int | None = None,
) -> np.ndarray:
    """Return the probabilities (C, h, w) of ``segment`` at the size that is processed."""
    check_segment(image, net, scales, fusion, max_side, tile)
    size = max(image.shape[:2])
    working = image if tile else resize(image, min(1.0, max_side / size))
    known = _known_size(min(tile, size) if tile else max(working.shape[:2]), net)
    views = [known * scale for scale in scales]
    if tile:
        probabilities = blend_tiles(working, tile, lambda p: predict(p, net, views, flip, fusion))
    else:
        probabilities = predict(working, net, views, flip, fusion)
    if crf is False:
        return probabilities
    from minideeplab.crf import refine

    return refine(working, probabilities, **crf_options(crf, net))


def labels_in_strips(
    probabilities: np.ndarray, size: tuple[int, int], full: np.ndarray | None = None
) -> np.ndarray:
    """Return the labels (H, W) of probabilities (C, h, w) that are interpolated to ``size``.

    A strip of rows at a time, since all probabilities of a large image may not fit into memory;
    ``full`` (C, H, W) receives them if it is given.
    """
    rows = max(1, STRIP // size[1])
    dtype = probabilities.dtype
    low, high, fraction = linear_source(probabilities.shape[1], size[0], False, None, dtype)
    labels = np.empty(size, np.min_scalar_type(len(probabilities) - 1))
    for first in range(0, size[0], rows):
        part = slice(first, first + rows)
        lower = fraction[part, None]
        strip = probabilities[:, low[part]] * (1 - lower) + probabilities[:, high[part]] * lower
        target = strip.shape[1], size[1]
        strip = F.interpolate(strip[None], size=target, mode="bilinear", align_corners=False)[0]
        labels[part] = most_probable(strip)
        if full is not None:
            full[:, part] = strip
    return labels


def segment_all(
    images: Iterable[np.ndarray],
    net: Network,
    executor: Executor | None = None,
    return_errors: bool = False,
    probabilities: bool = False,
    **options: Any,
) -> Iterator[Any]:
    """Yield the labels (H, W) of many images, in their order.

    With ``probabilities=True`` it yields pairs, as ``segment`` returns them.

    Args:
        images: (H, W, 3) uint8 each; drawn as they are needed.
        net: as in ``segment``.
        executor: any of ``concurrent.futures``, whose workers need no files; None for this process.
            Processes should be spawned, not forked (see ``minideeplab.executors``).
        return_errors: yield the ValueError or MemoryError of an image instead of raising it.
        probabilities: yield labels and probabilities, as ``segment`` returns them.
        options: further arguments of ``segment``: crf, scales, ...

    Raises:
        ValueError: as ``segment``.
        RuntimeError: a worker process died.
    """
    flags = return_errors, probabilities
    if executor is None:
        work = partial(_labels, net, options, flags)
    else:
        shared = executors.Shared((net, options))
        work = partial(_labels_elsewhere, shared, backends.current_name(), flags)
    yield from executors.spread(work, images, executor)


def _labels(
    net: Network, options: Mapping[str, Any], flags: tuple[bool, bool], image: np.ndarray
) -> Any:
    return_errors, probabilities = flags
    try:
        if probabilities:
            return segment(image, net, **options)
        return labels_in_strips(_probabilities(image, net, **options), image.shape[:2])
    except (ValueError, MemoryError) as error:
        if return_errors:
            return error
        raise


def _labels_elsewhere(
    shared: executors.Shared, backend: str, flags: tuple[bool, bool], image: np.ndarray
) -> Any:
    net, options = shared.get()
    with backends.use_backend(backend):
        return _labels(net, options, flags, image)


def _known_size(side: int, net: Network) -> float:
    """Return the scale, at most 1, that brings the longer side to that of the training images."""
    return min(1.0, max(getattr(net, "meta", {}).get("image_size", [side])) / side)


def crf_options(crf: bool | Mapping[str, Any], net: Network) -> dict[str, Any]:
    """Return arguments for ``refine``; kernel settings may be given by name, as JSON has them."""
    from minideeplab.crf import CRFParameters

    options = dict(crf if isinstance(crf, Mapping) else getattr(net, "meta", {}).get("crf", {}))
    if isinstance(options.get("parameters"), Mapping):
        options["parameters"] = CRFParameters(**options["parameters"])
    return options


def views(
    net: Network, scales: Sequence[float] | None = None, flip: bool | None = None
) -> dict[str, Any]:
    """Return ``scales`` and ``flip`` for ``segment``; None means the network's own, else one view.

    The network's own are in ``net.meta["views"]``, a mapping with these two keys.
    """
    own = getattr(net, "meta", {}).get("views", {})
    return {
        "scales": tuple(own.get("scales", (1.0,)) if scales is None else scales),
        "flip": own.get("flip", False) if flip is None else flip,
    }


def predict(
    image: np.ndarray,
    net: Network,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    fusion: str = "mean",
) -> np.ndarray:
    """Fuse the network's views of an image: (H, W, 3) uint8 -> probabilities (C, H, W) float32."""
    total, count = None, 0
    for logits in _views(image, net, scales, flip):
        view = F.softmax(logits, 0) if fusion == "mean" else logits
        if total is None:
            total = view
        elif fusion == "mean":
            total += view
        else:
            np.maximum(total, view, out=total)
        count += 1
    return total / count if fusion == "mean" else F.softmax(total, 0)


def _views(
    image: np.ndarray, net: Network, scales: Sequence[float], flip: bool
) -> Iterator[np.ndarray]:
    """Yield the scores (C, H, W) of the image at each scale, as it is and mirrored."""
    for scale in scales:
        scaled = resize(image, scale)
        yield upsample(coarse_scores(scaled, net), scaled.shape[:2], image.shape[:2])
        if flip:
            mirrored = coarse_scores(scaled[:, ::-1], net)
            logits = upsample(mirrored, scaled.shape[:2], image.shape[:2])
            yield np.ascontiguousarray(logits[:, :, ::-1])


def coarse_scores(image: np.ndarray, net: Network) -> np.ndarray:
    """Run the network: (H, W, 3) uint8 -> scores (C, h, w) float32 of the padded image.

    The image is padded at the bottom and the right to 8k+1 with the mean, which is zero after
    preprocessing, as the authors' data layer does.
    """
    height, width = padded_size(image.shape[:2])
    bottom, right = height - image.shape[0], width - image.shape[1]
    x = np.pad(net.preprocessing(image), ((0, 0), (0, bottom), (0, right)))
    with evaluating(), no_grad():
        scores = np.asarray(net(x[None]))[0]
    if not np.isfinite(scores).all():
        raise ValueError("net: its scores are not finite; the weights look damaged")
    return scores


def upsample(
    scores: np.ndarray, size: tuple[int, int], target: tuple[int, int] | None = None
) -> np.ndarray:
    """Bring scores (C, h, w) of an image of ``size`` to one per pixel, (C, H, W).

    Scores of the grid lie on the corners of the padded image (``align_corners=True``); what
    belongs to the padding is cropped. With ``target`` the result is resampled to that size.
    """
    full = F.interpolate(scores[None], size=padded_size(size), mode="bilinear", align_corners=True)
    full = full[:, :, : size[0], : size[1]]
    if target is not None and tuple(target) != tuple(size):
        full = F.interpolate(full, size=tuple(target), mode="bilinear", align_corners=False)
    return np.ascontiguousarray(full[0])


def padded_size(size: tuple[int, int]) -> tuple[int, int]:
    """Round both lengths up to 8k+1, at least 9: the sizes that output stride 8 fits exactly."""
    return tuple(8 * max(1, -(-(length - 1) // 8)) + 1 for length in size)


def most_probable(probabilities: np.ndarray) -> np.ndarray:
    """Return the first most probable class, (C, H, W) -> (H, W), without copying as argmax does."""
    labels = np.zeros(probabilities.shape[1:], dtype=np.min_scalar_type(len(probabilities) - 1))
    best = probabilities[0].copy()
    for index, plane in enumerate(probabilities[1:], start=1):
        labels[plane > best] = index
        np.maximum(best, plane, out=best)
    return labels


def resize(image: np.ndarray, scale: float) -> np.ndarray:
    """Scale an (H, W, 3) uint8 image, smoothed when it shrinks; at least one pixel remains."""
    if scale == 1:
        return image
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)
