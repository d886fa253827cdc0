"""pad: a frame of a constant, or of what the image continues with."""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.testing.case import Case, planted
from minideeplab.testing.mutant import Function, on, right
from minideeplab.testing.operation import Drawn, Operation, Rng, Sides
from minideeplab.testing.random_arrays import array, chance, normals, planes, whole
from minideeplab.testing.rows import Rows, single

INF, NAN = float("inf"), float("nan")
X = (2, 3, 5, 7)


def _row(name: str, x: tuple[int, ...], pad: tuple[int, ...], **options: Any) -> Case:
    return single("pad", name, x, pad=pad, **options)


row = Rows(_row)

ROWS = [
    row("plain", X, (1, 2, 3, 4), note="left, right, top, bottom: the last axis comes first"),
    row("last-axis", X, (2, 1)),
    row("three-axes", X, (1, 0, 2, 1, 0, 3)),
    row("four-axes", X, (0, 1, 1, 0, 2, 1, 1, 0)),
    row("value", X, (1, 2, 0, 3), value=-1.5),
    row("infinite-value", X, (1, 2, 0, 3), value=-INF, tags="nan"),
    row("nothing", X, (0, 0, 0, 0)),
    row.edge("crop", X, (-1, -2, -2, 0)),
    row.edge("crop-and-pad", X, (-2, 3, 1, -1), value=2.0),
    row("vector", (5,), (2, 1), value=1.0),
    row("reflect", X, (3, 2, 1, 4), mode="reflect", note="the edge itself is not repeated"),
    row.edge("reflect-largest", X, (6, 6, 4, 4), mode="reflect"),
    row("reflect-unbatched", (3, 5, 7), (2, 1, 0, 3), mode="reflect", tags="unbatched"),
    row("replicate", X, (3, 2, 1, 4), mode="replicate"),
    row.edge("replicate-wide", X, (9, 0, 0, 8), mode="replicate"),
    row("replicate-unbatched", (3, 5, 7), (2, 1, 0, 3), mode="replicate", tags="unbatched"),
    row("circular", X, (3, 2, 1, 4), mode="circular"),
    row.edge("circular-largest", X, (7, 7, 5, 5), mode="circular"),
    row("nan", X, (1, 2, 3, 0), mode="replicate", fill=planted(NAN, INF), tags="nan"),
    row.empty((0, 3, 5, 7), (1, 2, 3, 4)),
    row.laid("strided", X, (1, 2, 3, 4)),
    row.laid("reversed", X, (1, 2, 3, 4), mode="reflect"),
    row.laid("channels_last", X, (1, 2, 3, 4), mode="replicate"),
    row.tile((1, 2, 35, 67), (1, 2, 3, 4), mode="reflect"),
    row.large("amounts", (1, 1, 2, 3), (33, 20, 17, 40)),
    row.large("channels", (1, 300, 2, 3), (1, 0)),
]  # fmt: skip


def pad_crop(f: Function, rng: Rng, dtype: Any) -> Sides:
    """What is inside the frame is the image."""
    (x,) = normals(rng, dtype, (2, 3, 4, 5))
    return f(x, pad=(1, 2, 3, 0))[..., 3:, 1:-2], x, 0.0


def _draw(rng: Rng) -> Drawn:
    mode = str(rng.choice(["constant", "reflect", "replicate", "circular"]))
    shape = planes(rng, whole(rng, 1, 3), low=2)
    pad = tuple(whole(rng, -2 if mode == "constant" else 0, 3) for _ in range(4))
    options: dict[str, Any] = {"pad": pad, "mode": mode}
    if mode == "constant" and chance(rng, 0.5):
        options["value"] = round(float(rng.standard_normal()), 3)
    return Drawn({"input": array(rng, shape)}, options)


right_pad = right("pad")
altered = right_pad.altered


def _mode(name: str, other: str) -> Function:
    """Return padding by NumPy's mode ``other`` where torch's ``name`` is asked for."""

    def forward(x: np.ndarray, **options: Any) -> np.ndarray:
        if options.get("mode", "constant") != name or x.size == 0:
            return right_pad(x, **options)
        pairs = np.reshape(options["pad"], (-1, 2))[::-1].tolist()
        return np.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + pairs, mode=other)

    return forward


def _cropped(given: Any, dy: np.ndarray, arrays: Any, options: Any) -> Any:
    """Return dx cut out of dy: what the frame repeats gives nothing back."""
    if options.get("mode", "constant") == "constant" or dy.size == 0:
        return {}
    left, _, top, _ = options["pad"]
    height, width = arrays[0].shape[-2:]
    return dy[..., top : top + height, left : left + width]


FORWARD = {
    "axes-swapped": (altered(pad=lambda p: p[2:4] + p[:2] + p[4:] if len(p) >= 4 else p),
                     "the pairs start with the height instead of the width"),
    "ends-swapped": (altered(pad=lambda p: np.reshape(p, (-1, 2))[:, ::-1].ravel().tolist()),
                     "before and after are confused"),
    "crop-ignored": (altered(pad=lambda p: tuple(max(0, v) for v in p)),
                     "negative padding is ignored"),
    "value-ignored": (right_pad.without("value"), "the value is ignored: always zero"),
    "reflect-symmetric": (_mode("reflect", "symmetric"), "reflect repeats the edge itself"),
    "reflect-replicate": (_mode("reflect", "edge"), "reflect replicates"),
    "replicate-zero": (_mode("replicate", "constant"), "replicate pads with zeros"),
    "replicate-reflect": (_mode("replicate", "symmetric"), "replicate reflects"),
    "circular-reflect": (_mode("circular", "reflect"), "circular reflects"),
}  # fmt: skip

BACKWARD = {
    "dx-cropped": (_cropped, "dx lacks what the repeated border gives back"),
    "dx-halved": (on(0, lambda g: g / 2), "dx is half of what it should be"),
}


OPERATION = Operation(
    "pad",
    ROWS,
    sample=row("sample", (2, 3, 4, 5), (1, 2, 3, 0), mode="replicate"),
    draw=_draw,
    forward=FORWARD,
    backward=BACKWARD,
    generic="double-result first-image input-overwritten",
    equations=(pad_crop,),
    linear=True,
    exact=lambda case, what: what == "output" or "mode" not in case.options,
)
