"""Padding. Definitions: `minideeplab.ops.padding`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minideeplab.backends import current
from minideeplab.functional.arguments import Array, choice, floats, integer, number, result
from minideeplab.ops.window import Pair

MODES = ("constant", "reflect", "replicate", "circular")


def pad(
    input: Array, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Array:
    """Pad the last axes of input: pad = (left, right, top, bottom, ...), last axis first.

    Negative numbers crop. mode "constant" fills with value (default 0), for any axes; "reflect",
    "replicate" and "circular" pad every axis but the channels (and the batch), at most three.
    Raises ValueError or TypeError for wrong shapes or options.
    """
    (x,) = floats(input)
    pairs = _pairs(x, pad)
    choice("mode", mode, MODES)
    fill = 0.0 if value is None else number("value", value)
    if mode == "constant":
        _check_crop(x, pairs)
    else:
        _check_copies(x, len(pad) // 2, pairs, mode)
        if fill:
            raise ValueError(f"value: got {value!r}, expected None: mode {mode!r} takes no value")
    if mode == "circular" and min(map(min, pairs)) < 0:  # cropped pixels are not copied
        _check_crop(x, pairs)
        input = _pad(input, [(min(a, 0), min(b, 0)) for a, b in pairs], "constant", 0.0)
        pairs = tuple((max(a, 0), max(b, 0)) for a, b in pairs)
        _check_copies(input, len(pad) // 2, pairs, mode)
    return _pad(input, pairs, mode, fill)


def _pad(input: Array, pairs: Sequence[Pair], mode: str, value: float) -> Array:
    """Pad input by one (before, after) for each axis, recorded."""
    (x,) = floats(input)
    backend = current()
    shape = x.shape
    return result(
        backend.pad(x, pairs, mode, value),
        (input,),
        lambda dy, _: (backend.pad_backward(dy, shape, pairs, mode),),
    )


def _pairs(x: np.ndarray, pad: Sequence[int]) -> tuple[Pair, ...]:
    """(before, after) for each axis of x, first axis first."""
    if not isinstance(pad, tuple | list):
        raise TypeError(f"pad: got {pad!r}, expected a tuple of integers (left, right, ...)")
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ValueError(
            f"pad: got {len(pad)} numbers, expected two for each axis to pad, of {x.ndim} axes"
        )
    amounts = [integer("pad", amount) for amount in pad]
    last_first = list(zip(amounts[::2], amounts[1::2], strict=True))
    return ((0, 0),) * (x.ndim - len(last_first)) + tuple(reversed(last_first))


def _check_copies(x: Array, axes: int, pairs: Sequence[Pair], mode: str) -> None:
    """Check for the modes that copy pixels: 1 to 3 axes after the channels, pixels to copy."""
    if not 1 <= axes <= 3 or x.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"pad: got {2 * axes} numbers for an input of shape {x.shape}, expected two for every "
            f"axis after (N, C) or (C,) in mode {mode!r}"
        )
    for size, amounts in list(zip(x.shape, pairs, strict=True))[-axes - 1 :]:
        if size == 0 or size + sum(amounts) < 1:
            raise ValueError(f"pad: got {amounts} for an axis of {size}, expected pixels to remain")
        most = {"reflect": size - 1, "circular": size}.get(mode)
        if most is not None and max(amounts) > most:
            raise ValueError(f"pad: got {amounts} for an axis of {size}, expected at most {most}")


def _check_crop(x: np.ndarray, pairs: Sequence[Pair]) -> None:
    """Check that negative padding does not crop more pixels than there are."""
    for size, (before, after) in zip(x.shape, pairs, strict=True):
        if size + min(before, 0) + min(after, 0) < 0:
            raise ValueError(
                f"pad: got {(before, after)}, which crops an axis of {size} to nothing"
            )
