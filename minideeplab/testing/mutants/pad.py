"""Wrong padding: which side comes first, and what the frame repeats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.mutant import Function, backwards, forwards, right

pad = right("pad")


def _pad(change: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Function:
    return lambda x, **options: pad(x, **options | {"pad": change(tuple(options["pad"]))})


def _axes_swapped(sides: tuple[int, ...]) -> tuple[int, ...]:
    return sides[2:4] + sides[:2] + sides[4:] if len(sides) >= 4 else sides


def _ends_swapped(sides: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(v for i in range(0, len(sides), 2) for v in (sides[i + 1], sides[i]))


def _mode(name: str, other: str) -> Function:
    """Return padding by NumPy's mode ``other`` where torch's ``name`` is asked for."""

    def forward(x: np.ndarray, **options: Any) -> np.ndarray:
        if options.get("mode", "constant") != name or x.size == 0:
            return pad(x, **options)
        sides = options["pad"]
        pairs = [(sides[i], sides[i + 1]) for i in range(0, len(sides), 2)][::-1]
        return np.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + pairs, mode=other)

    return forward


def _value_ignored(x: np.ndarray, **options: Any) -> np.ndarray:
    return pad(x, **{k: v for k, v in options.items() if k != "value"})


def _cropped_gradient(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> dict[int, Any]:
    """Return dx cut out of dy: what the frame repeats gives nothing back."""
    if options.get("mode", "constant") == "constant" or dy.size == 0:
        return {}
    left, _, top, _ = options["pad"]
    height, width = arrays[0].shape[-2:]
    return {0: dy[..., top : top + height, left : left + width]}


PAD = forwards(
    "pad",
    {
        "axes-swapped": (
            _pad(_axes_swapped),
            "the pairs start with the height instead of the width",
        ),
        "ends-swapped": (_pad(_ends_swapped), "before and after are confused"),
        "crop-ignored": (
            _pad(lambda sides: tuple(max(0, v) for v in sides)),
            "negative padding is ignored",
        ),
        "value-ignored": (_value_ignored, "the value is ignored: always zero"),
        "reflect-symmetric": (_mode("reflect", "symmetric"), "reflect repeats the edge itself"),
        "reflect-replicate": (_mode("reflect", "edge"), "reflect replicates"),
        "replicate-zero": (_mode("replicate", "constant"), "replicate pads with zeros"),
        "replicate-reflect": (_mode("replicate", "symmetric"), "replicate reflects"),
        "circular-reflect": (_mode("circular", "reflect"), "circular reflects"),
    },
) + backwards(
    "pad",
    {
        "dx-cropped": (_cropped_gradient, "dx lacks what the repeated border gives back"),
        "dx-halved": (lambda g, dy, a, o: {0: g[0] / 2}, "dx is half of what it should be"),
    },
)
