"""Check the description of a weight file: its values come from outside, and set time and memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minideeplab.budget import one_line

MOST_ITERATIONS = 1000  # of the CRF
SETTINGS = {"iterations", "parameters", "normalization", "method", "self_term", "max_pixels"}
PARAMETERS = {"w1", "sigma_alpha", "sigma_beta", "w2", "sigma_gamma"}  # of the CRF's kernels
MOST_SCALES, LARGEST_SCALE = 32, 8
LONGEST_SIDE = 1 << 20


def check_description(meta: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError unless the description of a network is complete and plausible.

    The number of classes must be that of an array in ``state``, since a network is allocated for
    it.
    """
    for key in ("model", "num_classes"):
        if key not in meta:
            raise ValueError(f"its description has no {key!r}")
    if not isinstance(meta["model"], str):
        raise ValueError(f"model: {_short(meta['model'])}, expected a name")
    count = meta["num_classes"]
    if not _is_number(count, 1, math.inf, int) or not any(
        np.shape(array)[:1] == (count,) for array in state.values()
    ):
        raise ValueError(f"num_classes: {_short(count)}, but no array has that many rows")
    known = {"classes": _are_classes, "palette": _is_palette, "image_size": _is_size}
    for key, test in known.items():
        if key in meta and not test(meta[key], count):
            raise ValueError(f"{key}: not one for {count} classes: {_short(meta[key])}")
    _check_views(meta.get("views", {}))
    _check_crf(meta.get("crf", {}))


def _short(value: Any) -> str:
    return one_line(repr(value), 80)


def _is_number(value: Any, least: float, most: float, kind: Any = (int, float)) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and least <= value <= most


def _are_classes(value: Any, count: int) -> bool:
    is_list = isinstance(value, list) and len(value) == count
    return is_list and all(isinstance(name, str) for name in value)


def _is_palette(value: Any, count: int) -> bool:
    rows = value if isinstance(value, list) and len(value) <= max(256, count) else [None]
    return all(
        isinstance(row, list) and len(row) == 3 and all(_is_number(n, 0, 255, int) for n in row)
        for row in rows
    )


def _is_size(value: Any, _: int) -> bool:
    is_list = isinstance(value, list) and len(value) == 2
    return is_list and all(_is_number(side, 1, LONGEST_SIDE, int) for side in value)


def _check_views(views: Any) -> None:
    scales = views.get("scales", [1.0]) if isinstance(views, dict) else None
    if not isinstance(scales, list) or not 1 <= len(scales) <= MOST_SCALES:
        raise ValueError(f"views: expected 1 to {MOST_SCALES} scales, got {_short(views)}")
    for scale in scales:
        if not _is_number(scale, 0, LARGEST_SCALE) or scale == 0:
            raise ValueError(
                f"views: scale {_short(scale)}, expected above 0, at most {LARGEST_SCALE}"
            )


def _check_crf(crf: Any) -> None:
    if not isinstance(crf, dict):
        raise ValueError(f"crf: expected settings by name, got {_short(crf)}")
    iterations = crf.get("iterations", 0)
    if not _is_number(iterations, 0, MOST_ITERATIONS, int):
        raise ValueError(f"crf: {_short(iterations)} iterations, expected 0 to {MOST_ITERATIONS}")
    if unknown := sorted(crf.keys() - SETTINGS):
        raise ValueError(f"crf: unknown setting {_short(unknown[0])}")
    parameters = crf.get("parameters", {})
    if isinstance(parameters, dict) and (unknown := sorted(parameters.keys() - PARAMETERS)):
        raise ValueError(f"crf: unknown parameter {_short(unknown[0])}")
    values = parameters.values() if isinstance(parameters, dict) else ()
    if not all(_is_number(value, -1e6, 1e6) for value in values):
        raise ValueError(f"crf: parameters: expected numbers, got {_short(parameters)}")
