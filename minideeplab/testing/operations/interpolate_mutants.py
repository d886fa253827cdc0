"""Wrong resizing: where a pixel is, and what its weights are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, on, right, right_backward

interpolate = right("interpolate")

Coordinates = Callable[[int, int, float, bool], np.ndarray]
"""Input coordinate of every output pixel of one axis from (in, out, scale in / out, corners)."""


def _sizes(x: np.ndarray, options: dict[str, Any]) -> list[tuple[int, int, float]]:
    """Return for both axes the input's size, the output's, and the input's step for one output."""
    scales = options.get("scale_factor")
    if scales is None:
        sizes = [int(s) for s in np.broadcast_to(options["size"], 2)]
    else:
        scales = [float(f) for f in np.broadcast_to(scales, 2)]
        sizes = [int(np.floor(n * f)) for n, f in zip(x.shape[2:], scales, strict=True)]
    given = scales is not None and not options.get("recompute_scale_factor")
    return [
        (n, m, 1.0 / scales[axis] if given else n / m)
        for axis, (n, m) in enumerate(zip(x.shape[2:], sizes, strict=True))
    ]


def _matrix(n: int, at: np.ndarray, clamp: bool, weight: Callable[..., np.ndarray]) -> np.ndarray:
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


def _coordinates(n: int, m: int, step: float, corners: bool) -> np.ndarray:
    """Return the right coordinates."""
    if corners:
        return np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0.0)
    return np.maximum((np.arange(m) + 0.5) * step - 0.5, 0.0)


def _bilinear(
    coordinates: Coordinates = _coordinates,
    clamp: bool = True,
    weight: Callable[[np.ndarray], np.ndarray] = lambda share: share,
) -> Function:
    """Return interpolation whose bilinear mode uses other coordinates or weights."""

    def forward(x: np.ndarray, **options: Any) -> np.ndarray:
        if options.get("mode", "nearest") != "bilinear":
            return interpolate(x, **options)
        corners = bool(options.get("align_corners"))
        high, wide = (
            _matrix(n, coordinates(n, m, step, corners), clamp, weight)
            for n, m, step in _sizes(x, options)
        )
        return np.einsum("ph,nchw,qw->ncpq", high, x.astype(np.float64), wide).astype(x.dtype)

    return forward


def _aligned(
    corners: Callable[[int, int, float], np.ndarray] | None = None,
    centres: Callable[[int, int, float], np.ndarray] | None = None,
) -> Coordinates:
    """Return coordinates that are others with aligned corners, or with half-pixel centres."""

    def at(n: int, m: int, step: float, aligned: bool) -> np.ndarray:
        other = corners if aligned else centres
        return other(n, m, step) if other else _coordinates(n, m, step, aligned)

    return at


def _nearest(index: Callable[[np.ndarray], np.ndarray]) -> Function:
    """Return interpolation whose nearest mode rounds ``(output index, step)`` by ``index``."""

    def forward(x: np.ndarray, **options: Any) -> np.ndarray:
        if options.get("mode", "nearest") != "nearest":
            return interpolate(x, **options)
        rows, columns = (
            np.clip(index(np.arange(m), step), 0, n - 1).astype(int)
            for n, m, step in _sizes(x, options)
        )
        return np.ascontiguousarray(x[:, :, rows[:, None], columns])

    return forward


def _corners(fixed: bool) -> Function:
    """Return interpolation with align_corners fixed for the bilinear mode."""

    def forward(x: np.ndarray, **options: Any) -> np.ndarray:
        bilinear = options.get("mode") == "bilinear"
        return interpolate(x, **options | ({"align_corners": fixed} if bilinear else {}))

    return forward


def _by_size(rounded: Callable[[float], int]) -> Function:
    """Return interpolation to a size that is computed first, so that the factors are forgotten."""

    def forward(x: np.ndarray, **options: Any) -> np.ndarray:
        scales = options.get("scale_factor")
        if scales is None:
            return interpolate(x, **options)
        size = [
            rounded(n * f) for n, f in zip(x.shape[2:], np.broadcast_to(scales, 2), strict=True)
        ]
        kept = {k: v for k, v in options.items() if not k.endswith("scale_factor")}
        return interpolate(x, size=tuple(size), **kept)

    return forward


def _size_swapped(x: np.ndarray, **options: Any) -> np.ndarray:
    for name in ("size", "scale_factor"):
        if isinstance(options.get(name), tuple):
            options[name] = options[name][::-1]
    return interpolate(x, **options)


def _extrapolated(x: np.ndarray, **options: Any) -> np.ndarray:
    y = interpolate(x, **options)
    bilinear = options.get("mode", "nearest") == "bilinear" and not options.get("align_corners")
    if not bilinear or min(x.shape) < 1 or min(x.shape[2:]) < 2:
        return y
    for axis, (n, m, step) in enumerate(_sizes(x, options), 2):
        at = (np.arange(m) + 0.5) * step - 0.5
        low = np.clip(np.floor(at), 0, n - 2).astype(int)
        share = (at - low).reshape((-1,) + (1,) * (3 - axis))
        x = x.take(low, axis) * (1 - share) + x.take(low + 1, axis) * share
    return x.astype(y.dtype)


FORWARD = {
    "corners-never": (_corners(False), "align_corners is ignored: always False"),
    "corners-always": (_corners(True), "align_corners is ignored: always True"),
    "corners-step": (_bilinear(_aligned(lambda n, m, step: np.arange(m) * ((n - 1) / m))),
                     "with align_corners the step is (in-1)/out instead of (in-1)/(out-1)"),
    "no-half-pixel": (_bilinear(_aligned(centres=lambda n, m, step: np.arange(m) * step)),
                      "the half-pixel centres are missing: coordinates are i * scale"),
    "no-clamp": (
        _bilinear(_aligned(centres=lambda n, m, s: (np.arange(m) + 0.5) * s - 0.5), clamp=False),
        "pixels beyond the border count as zero instead of the border's value"),
    "weights-swapped": (_bilinear(weight=lambda t: 1 - t),
                        "the two neighbours' weights are exchanged"),
    "weights-smooth": (_bilinear(weight=lambda t: t * t * (3 - 2 * t)),
                       "the weights are smoothed, t^2 (3 - 2 t), instead of linear"),
    "weights-squared": (_bilinear(weight=lambda t: t * t), "the weights are squared"),
    "weights-rounded": (_bilinear(weight=np.round),
                        "the nearer pixel is taken where both should be mixed"),
    "scale-ignored": (_by_size(lambda size: int(np.floor(size))),
                      "a scale_factor is replaced by the ratio of the sizes in the coordinates"),
    "size-swapped": (_size_swapped, "the size's height and width are confused"),
    "always-nearest": (interpolate.without("mode", "align_corners"),
                       "the mode is ignored: always nearest"),
    "nearest-rounds": (_nearest(lambda i, s: np.round(i * s)),
                       "nearest rounds the coordinate i * scale instead of cutting it"),
    "nearest-exact": (_nearest(lambda i, s: np.floor((i + 0.5) * s)),
                      "nearest uses pixel centres: that is torch's mode 'nearest-exact'"),
    "nearest-ceil": (_nearest(lambda i, s: np.ceil(i * s)), "nearest rounds coordinates up"),
    "size-rounded": (_by_size(lambda size: max(1, round(size))),
                     "the size from a scale_factor is rounded, not cut"),
    "one-corner-centred": (
        _bilinear(lambda n, m, s, c: _coordinates(n, m, s, False if m == 1 else c)),
        "with aligned corners a single output pixel is the middle instead of the first"),
    "extrapolated": (
        _extrapolated,
        "before the first pixel's centre the border is continued linearly instead of held"),
}  # fmt: skip


def _resized_back(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> Any:
    """Return dx made by resizing dy to x's size: an interpolation instead of its transpose."""
    if dy.size == 0:
        return {}
    kept = {k: v for k, v in options.items() if k in ("mode", "align_corners")}
    return interpolate(dy, size=arrays[0].shape[2:], **kept)


def _other_corners(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> Any:
    if options.get("mode", "nearest") != "bilinear":
        return {}
    other = options | {"align_corners": not options.get("align_corners")}
    return right_backward("interpolate")(dy, *arrays, **other)[0]


BACKWARD = {
    "dx-resized": (_resized_back, "dx resizes the gradient back instead of adding up the shares"),
    "dx-averaged": (lambda g, dy, a, o: g[0] * a[0].size / max(1, dy.size),
                    "dx averages over the output pixels instead of summing"),
    "dx-other-corners": (_other_corners, "dx takes align_corners for the opposite of what it is"),
    "dx-upside-down": (on(0, lambda g: g[:, :, ::-1]), "dx is upside down"),
    "dx-mirrored": (on(0, lambda g: g[..., ::-1]), "dx is mirrored left to right"),
}  # fmt: skip
