"""Resizing. Definitions: `minideeplab.ops.resize`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minideeplab.backends import current
from minideeplab.functional.arguments import (
    Array,
    choice,
    flag,
    floats,
    number,
    pair,
    result,
    wrong_shape,
)
from minideeplab.ops.resize import Scale
from minideeplab.ops.window import Pair


def interpolate(
    input: Array,
    size: int | Pair | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    """Resize input (N, C, H, W) to `size`, or to floor(scale_factor * (H, W)).

    mode "nearest" or "bilinear"; align_corners (bilinear only, default False) lets the corner
    pixels' centres coincide, DeepLab's choice. The scale factor itself places the pixels, unless
    recompute_scale_factor asks for output size / input size instead. antialias must stay False.
    Raises ValueError or TypeError for wrong shapes or options.
    """
    (x,) = floats(input)
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise wrong_shape("input", x, "(N, C, H, W), with C, H and W at least 1")
    choice("mode", mode, ("nearest", "bilinear"))
    if mode == "nearest" and align_corners is not None:
        raise ValueError(f"align_corners: got {align_corners!r}, expected None for mode 'nearest'")
    if flag("antialias", antialias):
        raise ValueError("antialias: got True, expected False: not supported")
    corners = align_corners is not None and flag("align_corners", align_corners)
    out, scale = _target(x.shape[2:], size, scale_factor, bool(recompute_scale_factor))
    backend = current()
    shape = x.shape
    return result(
        backend.interpolate(x, out, mode, corners, scale),
        (input,),
        lambda dy, _: (backend.interpolate_backward(dy, shape, mode, corners, scale),),
    )


def _target(
    old: Sequence[int], size: Any, scale_factor: Any, recompute: bool
) -> tuple[Pair, Scale]:
    """The output size, and the scale that places the pixels where it is not output/input size."""
    if (size is None) == (scale_factor is None):
        raise ValueError(
            f"size, scale_factor: got {size!r} and {scale_factor!r}, expected exactly one of them"
        )
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor: got True, expected a scale_factor with it")
        return pair("size", size, 1), (None, None)
    scale = _factors(scale_factor)
    out = (int(old[0] * scale[0]), int(old[1] * scale[1]))
    if min(out) < 1:
        raise ValueError(f"scale_factor: got {scale_factor!r}, expected more: {out} pixels remain")
    return out, (None, None) if recompute else scale


def _factors(scale_factor: Any) -> tuple[float, float]:
    """One positive factor for rows and columns, or one for each."""
    if not isinstance(scale_factor, tuple | list):
        scale_factor = (scale_factor, scale_factor)
    if len(scale_factor) != 2:
        raise ValueError(f"scale_factor: got {scale_factor!r}, expected a number or two of them")
    rows, columns = (number("scale_factor", factor) for factor in scale_factor)
    if not (0 < rows < float("inf") and 0 < columns < float("inf")):
        raise ValueError(f"scale_factor: got {scale_factor!r}, expected finite and above 0")
    return rows, columns
