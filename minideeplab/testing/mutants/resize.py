"""Wrong resizing: where a pixel is, and what its weights are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import (
    Function,
    backwards,
    forwards,
    right,
    right_backward,
)

interpolate = right("interpolate")

Coordinates = Callable[[int, int, float, bool], np.ndarray]
"""Input coordinate of every output pixel of one axis from (in, out, scale in / out, corners)."""


def _sizes(x: np.ndarray, options: dict[str, Any]) -> tuple[list[int], list[float]]:
    """Return the output size and the step in the input for one step in the output."""
    planes = x.shape[2:]
    factors = options.get("scale_factor")
    if factors is None:
        size = [int(s) for s in np.broadcast_to(options["size"], 2)]
        return size, [n / s for n, s in zip(planes, size, strict=True)]
    factors = [float(f) for f in np.broadcast_to(factors, 2)]
    size = [int(np.floor(n * f)) for n, f in zip(planes, factors, strict=True)]
    if options.get("recompute_scale_factor"):
        return size, [n / s for n, s in zip(planes, size, strict=True)]
    return size, [1.0 / f for f in factors]


def _matrix(
    n: int,
    at: np.ndarray,
    clamp: bool = True,
    weight: Callable[[np.ndarray], np.ndarray] = lambda share: share,
) -> np.ndarray:
    """Return the (out, in) matrix that reads between pixels at coordinates ``at``.

    ``weight`` of the distance to the pixel before is the share of the pixel after.
    """
    at = np.clip(at, 0, n - 1) if clamp else at
    low = np.floor(at).astype(int)
    share = weight(at - low)
    matrix = np.zeros((len(at), n + 2))
    rows = np.arange(len(at))
    np.add.at(matrix, (rows, np.clip(low + 1, 0, n + 1)), 1 - share)
    np.add.at(matrix, (rows, np.clip(low + 2, 0, n + 1)), share)
    inner = matrix[:, 1:-1].copy()
    if clamp:
        inner[:, -1] += matrix[:, -1]
    return inner


def _true_coordinates(n: int, m: int, step: float, corners: bool) -> np.ndarray:
    if corners:
        return np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0.0)
    return np.maximum((np.arange(m) + 0.5) * step - 0.5, 0.0)


def _bilinear(coordinates: Coordinates = _true_coordinates, **details: Any) -> Function:
    """Return interpolation whose bilinear mode uses other coordinates or weights."""

    def forward(x: np.ndarray, **options: Any) -> np.ndarray:
        if options.get("mode", "nearest") != "bilinear":
            return interpolate(x, **options)
        size, steps = _sizes(x, options)
        corners = bool(options.get("align_corners"))
        high, wide = (
            _matrix(n, coordinates(n, m, step, corners), **details)
            for n, m, step in zip(x.shape[2:], size, steps, strict=True)
        )
        return np.einsum("ph,nchw,qw->ncpq", high, x.astype(np.float64), wide).astype(x.dtype)

    return forward


def _no_half_pixel(n: int, m: int, step: float, corners: bool) -> np.ndarray:
    return _true_coordinates(n, m, step, True) if corners else np.arange(m) * step


def _corners_by_out(n: int, m: int, step: float, corners: bool) -> np.ndarray:
    return np.arange(m) * ((n - 1) / m) if corners else _true_coordinates(n, m, step, False)


def _nearest(index: Callable[[np.ndarray, float], np.ndarray]) -> Function:
    """Return interpolation whose nearest mode picks ``index(output index, step)``."""

    def forward(x: np.ndarray, **options: Any) -> np.ndarray:
        if options.get("mode", "nearest") != "nearest":
            return interpolate(x, **options)
        size, steps = _sizes(x, options)
        rows, columns = (
            np.clip(index(np.arange(m), step), 0, n - 1).astype(int)
            for n, m, step in zip(x.shape[2:], size, steps, strict=True)
        )
        return np.ascontiguousarray(x[:, :, rows[:, None], columns])

    return forward


def _option(**fixed: Any) -> Function:
    """Return interpolation with options fixed for the bilinear mode."""

    def forward(x: np.ndarray, **options: Any) -> np.ndarray:
        bilinear = options.get("mode") == "bilinear"
        return interpolate(x, **(options | fixed if bilinear else options))

    return forward


def _ratio_of_sizes(x: np.ndarray, **options: Any) -> np.ndarray:
    if options.get("scale_factor") is not None:
        options = {k: v for k, v in options.items() if not k.endswith("scale_factor")} | {
            "size": tuple(_sizes(x, options)[0])
        }
    return interpolate(x, **options)


def _size_swapped(x: np.ndarray, **options: Any) -> np.ndarray:
    for name in ("size", "scale_factor"):
        if isinstance(options.get(name), tuple):
            options[name] = options[name][::-1]
    return interpolate(x, **options)


def _always_nearest(x: np.ndarray, **options: Any) -> np.ndarray:
    return interpolate(
        x, **{k: v for k, v in options.items() if k not in ("mode", "align_corners")}
    )


def _resized_back(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    """Return dx made by resizing dy to x's size: an interpolation instead of its transpose."""
    if dy.size == 0:
        return {}
    kept = {k: v for k, v in options.items() if k in ("mode", "align_corners")}
    return {0: interpolate(dy, size=arrays[0].shape[2:], **kept)}


def _averaged(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    return {0: given[0] * arrays[0].size / max(1, dy.size)}


def _size_rounded(x: np.ndarray, **options: Any) -> np.ndarray:
    if options.get("scale_factor") is None:
        return interpolate(x, **options)
    factors = np.broadcast_to(options["scale_factor"], 2)
    size = tuple(max(1, round(n * f)) for n, f in zip(x.shape[2:], factors, strict=True))
    return interpolate(x, **options | {"scale_factor": None, "size": size})


def _extrapolated(x: np.ndarray, **options: Any) -> np.ndarray:
    y = interpolate(x, **options)
    if options.get("mode", "nearest") != "bilinear" or options.get("align_corners"):
        return y
    size, steps = _sizes(x, options)
    if min(x.shape) < 1 or min(x.shape[2:]) < 2:
        return y
    for axis, (n, m, step) in enumerate(zip(x.shape[2:], size, steps, strict=True), 2):
        at = (np.arange(m) + 0.5) * step - 0.5
        low = np.clip(np.floor(at), 0, n - 2).astype(int)
        share = (at - low).reshape((-1,) + (1,) * (3 - axis))
        x = x.take(low, axis) * (1 - share) + x.take(low + 1, axis) * share
    return x.astype(y.dtype)


def _other_corners(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    if options.get("mode", "nearest") != "bilinear":
        return {}
    corners = not options.get("align_corners")
    return {
        0: right_backward("interpolate")(dy, *arrays, **options | {"align_corners": corners})[0]
    }


INTERPOLATE = forwards(
    "interpolate",
    {
        "corners-never": (_option(align_corners=False), "align_corners is ignored: always False"),
        "corners-always": (_option(align_corners=True), "align_corners is ignored: always True"),
        "corners-step": (
            _bilinear(_corners_by_out),
            "with align_corners the step is (in-1)/out instead of (in-1)/(out-1)",
        ),
        "no-half-pixel": (
            _bilinear(_no_half_pixel),
            "the half-pixel centres are missing: coordinates are i * scale",
        ),
        "no-clamp": (
            _bilinear(
                lambda n, m, s, c: (
                    _true_coordinates(n, m, s, True) if c else (np.arange(m) + 0.5) * s - 0.5
                ),
                clamp=False,
            ),
            "pixels beyond the border count as zero instead of the border's value",
        ),
        "weights-swapped": (
            _bilinear(weight=lambda t: 1 - t),
            "the two neighbours' weights are exchanged",
        ),
        "weights-smooth": (
            _bilinear(weight=lambda t: t * t * (3 - 2 * t)),
            "the weights are smoothed, t^2 (3 - 2 t), instead of linear",
        ),
        "weights-squared": (_bilinear(weight=lambda t: t * t), "the weights are squared"),
        "weights-rounded": (
            _bilinear(weight=np.round),
            "the nearer pixel is taken where both should be mixed",
        ),
        "scale-ignored": (
            _ratio_of_sizes,
            "a scale_factor is replaced by the ratio of the sizes in the coordinates",
        ),
        "size-swapped": (_size_swapped, "the size's height and width are confused"),
        "always-nearest": (_always_nearest, "the mode is ignored: always nearest"),
        "nearest-rounds": (
            _nearest(lambda i, s: np.round(i * s)),
            "nearest rounds the coordinate i * scale instead of cutting it",
        ),
        "nearest-exact": (
            _nearest(lambda i, s: np.floor((i + 0.5) * s)),
            "nearest uses pixel centres: that is torch's mode 'nearest-exact'",
        ),
        "nearest-ceil": (_nearest(lambda i, s: np.ceil(i * s)), "nearest rounds coordinates up"),
        "size-rounded": (_size_rounded, "the size from a scale_factor is rounded, not cut"),
        "one-corner-centred": (
            _bilinear(lambda n, m, s, c: _true_coordinates(n, m, s, False if m == 1 else c)),
            "with aligned corners a single output pixel is the middle instead of the first",
        ),
        "extrapolated": (
            _extrapolated,
            "before the first pixel's centre the border is continued linearly instead of held",
        ),
    },
) + backwards(
    "interpolate",
    {
        "dx-resized": (
            _resized_back,
            "dx resizes the gradient back instead of adding up the shares",
        ),
        "dx-averaged": (_averaged, "dx averages over the output pixels instead of summing"),
        "dx-other-corners": (
            _other_corners,
            "dx takes align_corners for the opposite of what it is",
        ),
        "dx-upside-down": (lambda g, dy, a, o: {0: g[0][:, :, ::-1]}, "dx is upside down"),
        "dx-mirrored": (lambda g, dy, a, o: {0: g[0][..., ::-1]}, "dx is mirrored left to right"),
    },
)
