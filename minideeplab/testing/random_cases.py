"""Random rows for every operation: shapes, layouts and options as they come, wrong ones included.

The table holds the cases that somebody thought of; these are the others. A seed and a number make
a case again: ``random_case(op, seed, number)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab.testing.case import (
    distribution,
    labels,
    normal,
    positive,
    spread,
    ties,
)
from minideeplab.testing.cases import Array, Case
from minideeplab.testing.random_arrays import (
    Rng,
    any_shape,
    array,
    batch,
    pair,
    planes,
    some,
    whole,
)

Drawn = tuple[dict[str, Array | None], dict[str, Any]]


def _conv2d(rng: Rng) -> Drawn:
    groups = whole(rng, 1, 3)
    channels, filters = groups * whole(rng, 1, 3), groups * whole(rng, 1, 3)
    arrays = {
        "input": array(rng, planes(rng, channels)),
        "weight": array(rng, (filters, channels // groups, whole(rng, 1, 4), whole(rng, 1, 4))),
    }
    if rng.random() < 0.5:
        arrays["bias"] = array(rng, (filters,))
    options = some(
        rng, {"stride": pair(rng, 1, 3), "dilation": pair(rng, 1, 4), "padding": pair(rng, 0, 5)}
    )
    if rng.random() < 0.15:
        options |= {"padding": "same", "stride": 1}
    return arrays, options | {"groups": groups}


def _conv_transpose2d(rng: Rng) -> Drawn:
    """Draw a transposed convolution, of an image at least: without, torch checks no option."""
    groups = whole(rng, 1, 3)
    channels, filters = groups * whole(rng, 1, 3), whole(rng, 1, 3)
    arrays = {
        "input": array(rng, planes(rng, channels, high=7, least=1)),
        "weight": array(rng, (channels, filters, whole(rng, 1, 4), whole(rng, 1, 4))),
    }
    if rng.random() < 0.5:
        arrays["bias"] = array(rng, (filters * groups,))
    options = some(
        rng,
        {
            "stride": pair(rng, 1, 3),
            "dilation": pair(rng, 1, 3),
            "padding": pair(rng, 0, 2),
            "output_padding": pair(rng, 0, 2),
        },
    )
    return arrays, options | {"groups": groups}


def _linear(rng: Rng) -> Drawn:
    fan_in, fan_out = whole(rng, 1, 9), whole(rng, 1, 9)
    leading = tuple(whole(rng, 0 if rng.random() < 0.1 else 1, 4) for _ in range(whole(rng, 0, 3)))
    arrays = {"input": array(rng, (*leading, fan_in)), "weight": array(rng, (fan_out, fan_in))}
    if rng.random() < 0.5:
        arrays["bias"] = array(rng, (fan_out,))
    return arrays, {}


def _pool(rng: Rng, extra: dict[str, Any]) -> Drawn:
    """Draw a pooling whose every window sees a pixel: where none is seen, torch's maximum
    gives its gradient to an unrelated pixel."""
    kernel = pair(rng, 1, 4)
    most = int(np.min(kernel)) // 2 + (rng.random() < 0.05)  # more is refused
    options = some(
        rng,
        {
            "stride": pair(rng, 1, 4),
            "padding": pair(rng, 0, most),
            "ceil_mode": bool(rng.random() < 0.5),
        }
        | extra,
    )
    fill = normal if rng.random() < 0.6 else ties
    shape = planes(rng, whole(rng, 1, 3), low=3)
    return {"input": array(rng, shape, fill)}, options | {"kernel_size": kernel}


def _max_pool2d(rng: Rng) -> Drawn:
    return _pool(rng, {"dilation": pair(rng, 1, 3), "return_indices": bool(rng.random() < 0.7)})


def _avg_pool2d(rng: Rng) -> Drawn:
    divisor = {"divisor_override": whole(rng, 1, 7)} if rng.random() < 0.3 else {}
    return _pool(rng, {"count_include_pad": bool(rng.random() < 0.5)} | divisor)


def _adaptive_avg_pool2d(rng: Rng) -> Drawn:
    size = pair(rng, 1, 8)
    if not isinstance(size, int) and rng.random() < 0.2:
        size = (None, size[1])
    return {"input": array(rng, planes(rng, whole(rng, 1, 3)))}, {"output_size": size}


def _interpolate(rng: Rng) -> Drawn:
    shape = (batch(rng), whole(rng, 1, 3), whole(rng, 1, 9), whole(rng, 1, 9))
    options: dict[str, Any] = {"mode": str(rng.choice(["nearest", "bilinear"]))}
    if rng.random() < 0.5:
        options["size"] = pair(rng, 1, 20)
    else:
        factors = tuple(round(float(f), 2) for f in rng.uniform(0.3, 3.0, 2))
        options["scale_factor"] = factors if rng.random() < 0.7 else factors[0]
        if rng.random() < 0.3:
            options["recompute_scale_factor"] = True
    if options["mode"] == "bilinear":
        options["align_corners"] = bool(rng.random() < 0.5)
    return {"input": array(rng, shape)}, options


def _pad(rng: Rng) -> Drawn:
    mode = str(rng.choice(["constant", "reflect", "replicate", "circular"]))
    shape = planes(rng, whole(rng, 1, 3), low=2)
    low = -2 if mode == "constant" else 0
    pad = tuple(whole(rng, low, 3) for _ in range(4))
    options: dict[str, Any] = {"pad": pad, "mode": mode}
    if mode == "constant" and rng.random() < 0.5:
        options["value"] = round(float(rng.standard_normal()), 3)
    return {"input": array(rng, shape)}, options


def _window(rng: Rng) -> dict[str, Any]:
    options = some(
        rng, {"dilation": pair(rng, 1, 3), "padding": pair(rng, 0, 3), "stride": pair(rng, 1, 3)}
    )
    return options | {"kernel_size": pair(rng, 1, 4)}


def _unfold(rng: Rng) -> Drawn:
    return {"input": array(rng, planes(rng, whole(rng, 1, 3)))}, _window(rng)


def _fold(rng: Rng) -> Drawn:
    options = _window(rng) | {"output_size": pair(rng, 3, 11)}
    two = {
        name: np.broadcast_to(options.get(name, default), 2)
        for name, default in (
            ("kernel_size", 1),
            ("dilation", 1),
            ("padding", 0),
            ("stride", 1),
            ("output_size", 1),
        )
    }
    spans = (two["kernel_size"] - 1) * two["dilation"] + 1
    out = (two["output_size"] + 2 * two["padding"] - spans) // two["stride"] + 1
    rows = whole(rng, 1, 3) * int(np.prod(two["kernel_size"]))
    shape = (batch(rng), rows, max(1, int(np.prod(np.maximum(out, 0)))))
    return {"input": array(rng, shape[1:] if rng.random() < 0.1 else shape)}, options


def _relu(rng: Rng) -> Drawn:
    return {"input": array(rng, any_shape(rng), normal if rng.random() < 0.5 else ties)}, {}


def _softmax(rng: Rng) -> Drawn:
    shape = any_shape(rng)
    return {"input": array(rng, shape)}, {"dim": whole(rng, -len(shape), len(shape) - 1)}


def _dropout(rng: Rng) -> Drawn:
    options = {"p": round(float(rng.random()), 2), "training": False}
    return {"input": array(rng, any_shape(rng))}, options


def _cross_entropy(rng: Rng) -> Drawn:
    classes = whole(rng, 1, 6)
    tail = tuple(whole(rng, 1, 4) for _ in range(whole(rng, 0, 2)))
    lead = (batch(rng),) if rng.random() < 0.9 else ()
    shape = (*lead, classes, *(tail if lead else ()))
    axis = len(lead)
    options = some(
        rng,
        {
            "reduction": str(rng.choice(["mean", "sum", "none"])),
            "label_smoothing": round(float(rng.random()), 2),
        },
    )
    if rng.random() < 0.7:
        ignored = int(rng.choice([255, -1, 0, -100]))
        options["ignore_index"] = ignored
        target = Array(shape[:axis] + shape[axis + 1 :], labels(classes, ignored))
    else:
        target = Array(shape, distribution(axis))
    arrays = {"input": array(rng, shape), "target": target}
    if rng.random() < 0.4:
        arrays["weight"] = Array((classes,), positive)
    return arrays, options


def _batch_norm(rng: Rng) -> Drawn:
    channels, running = whole(rng, 1, 4), bool(rng.random() < 0.7)
    shape = (whole(rng, 2, 4), channels, *(whole(rng, 1, 5) for _ in range(whole(rng, 0, 2))))
    maybe = [array(rng, (channels,)) if rng.random() < 0.7 else None for _ in range(2)]
    arrays = {
        "input": array(rng, shape),
        "running_mean": Array((channels,)) if running else None,
        "running_var": Array((channels,), positive) if running else None,
        "weight": maybe[0],
        "bias": maybe[1],
    }
    options = some(
        rng, {"momentum": round(float(rng.random()), 2), "eps": float(10 ** rng.uniform(-5, 0))}
    )
    return arrays, options | {"training": bool(not running or rng.random() < 0.6)}


def _gaussian_filter(rng: Rng) -> Drawn:
    points, width = whole(rng, 1, 30), float(10 ** rng.uniform(-1, 1))
    arrays = {
        "input": array(rng, (whole(rng, 1, 4), points)),
        "features": array(rng, (whole(rng, 1, 6), points), spread(width)),
    }
    return arrays, some(rng, {"normalization": str(rng.choice(NORMALIZATIONS))})


def _dense_crf(rng: Rng) -> Drawn:
    shape = (whole(rng, 1, 5), whole(rng, 1, 6), whole(rng, 1, 6))
    arrays = {
        "input": array(rng, shape),
        "image": array(rng, (*shape[1:], 3), spread(float(rng.uniform(0, 60)), 120.0)),
    }
    options = some(
        rng,
        {
            "iterations": whole(rng, 0, 6),
            "gaussian_sxy": round(float(rng.uniform(0.5, 5)), 2),
            "bilateral_sxy": round(float(rng.uniform(1, 70)), 2),
            "bilateral_srgb": round(float(rng.uniform(1, 20)), 2),
            "normalization": str(rng.choice(NORMALIZATIONS[1:])),
        },
    )
    compat = [0.0 if rng.random() < 0.2 else round(float(rng.uniform(-1, 3)), 2) for _ in range(2)]
    return arrays, options | dict(zip(("gaussian_compat", "bilateral_compat"), compat, strict=True))


NORMALIZATIONS = ("none", "before", "after", "symmetric")

DRAW: dict[str, Callable[[Rng], Drawn]] = {
    "conv2d": _conv2d, "conv_transpose2d": _conv_transpose2d, "linear": _linear,
    "max_pool2d": _max_pool2d, "avg_pool2d": _avg_pool2d,
    "adaptive_avg_pool2d": _adaptive_avg_pool2d, "interpolate": _interpolate, "pad": _pad,
    "unfold": _unfold, "fold": _fold, "relu": _relu, "softmax": _softmax,
    "log_softmax": _softmax, "dropout": _dropout, "cross_entropy": _cross_entropy,
    "batch_norm": _batch_norm, "gaussian_filter": _gaussian_filter, "dense_crf": _dense_crf,
}  # fmt: skip


def random_case(op: str, seed: int, number: int) -> Case:
    """Return case ``number`` of a run with ``seed``."""
    if op not in DRAW:
        raise ValueError(f"op must be one of {', '.join(DRAW)}; got {op!r}")
    arrays, options = DRAW[op](np.random.default_rng([seed, number]))
    names = ("input", "weight", "bias") if op != "cross_entropy" else ("input",)
    differentiable = tuple(name for name in names if arrays.get(name) is not None)
    updated = ("running_mean", "running_var")
    training = op == "batch_norm" and options["training"] and arrays["running_mean"] is not None
    return Case(
        op, f"fuzz-{seed}-{number}", arrays, options, differentiable, updated if training else ()
    )
