"""The convolutions of DeepLab-LargeFOV one by one: forward and backward, ours against torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minideeplab.backends import load
from minideeplab.bench.timing import interleaved


@dataclass(frozen=True)
class Layer:
    """A convolution that keeps the size of its feature map, 1 / stride of the image."""

    name: str
    channels: int
    filters: int
    stride: int
    kernel: int = 3
    dilation: int = 1

    def side(self, image: int) -> int:
        """Return the side of the map for a image of 8k + 1 pixels."""
        return (image - 1) // self.stride + 1

    def multiplications(self, image: int, batch: int) -> int:
        """Return the multiplications of direct convolution."""
        pixels = batch * self.side(image) ** 2
        return pixels * self.channels * self.filters * self.kernel**2

    def options(self) -> tuple:
        """Return (stride, padding, dilation, groups) in the form that backends take."""
        pad = self.dilation * (self.kernel // 2)
        return (1, 1), ((pad, pad), (pad, pad)), (self.dilation,) * 2, 1


LARGEFOV = (
    Layer("conv1_1", 3, 64, 1),
    Layer("conv1_2", 64, 64, 1),
    Layer("conv2_1", 64, 128, 2),
    Layer("conv2_2", 128, 128, 2),
    Layer("conv3_1", 128, 256, 4),
    Layer("conv3_2", 256, 256, 4),
    Layer("conv4_1", 256, 512, 8),
    Layer("conv4_2", 512, 512, 8),
    Layer("conv5_1", 512, 512, 8, dilation=2),
    Layer("fc6", 512, 1024, 8, dilation=12),
    Layer("fc7", 1024, 1024, 8, kernel=1),
)


def measure(layer: Layer, image: int, batch: int, backward: bool, rounds: int) -> dict[str, Any]:
    """Return a row of the table: milliseconds, GFLOP/s, ratios to torch, errors against float64."""
    rng = np.random.default_rng(0)
    side, pad = layer.side(image), layer.dilation * (layer.kernel // 2)
    shape = (batch, side, side)
    x = _pixels(np.maximum(rng.standard_normal((*shape, layer.channels), np.float32), 0))
    dy = _pixels(rng.standard_normal((*shape, layer.filters), np.float32))
    w = rng.standard_normal((layer.filters, layer.channels, layer.kernel, layer.kernel), np.float32)
    w /= np.sqrt(w[0].size, dtype=np.float32)
    options, numba = layer.options(), load("numba")
    if backward:
        run = {"ours": lambda: numba.conv2d_backward(dy, x, w, *options)}
    else:
        run = {"ours": lambda: numba.conv2d(x, w, None, *options)}
    run |= _torch(x, w, dy, pad, layer.dilation, backward)
    timings = interleaved(run, rounds)
    flops = 2 * layer.multiplications(image, batch) * (2 if backward else 1)
    row = {
        "what": layer.name,
        "pass": "backward" if backward else "forward",
        "image": image,
        "batch": batch,
        "GFLOP/s": flops / timings["ours"].median / 1e9,
    }
    return row | compared(timings) | {"error": _error(run["ours"](), numba, x, w, dy, options)}


def compared(timings: dict) -> dict[str, float]:
    """Return the columns of every table: milliseconds, and torch's time over ours."""
    columns = {f"{name} ms": timing.median * 1e3 for name, timing in timings.items()}
    for name, timing in timings.items():
        if name != "ours":
            columns[f"{name} / ours"] = timings["ours"].times_faster_than(timing)
    return columns


def _pixels(x: np.ndarray) -> np.ndarray:
    """Return (N, H, W, C) in memory as an array of shape (N, C, H, W)."""
    return x.transpose(0, 3, 1, 2)


def _torch(x, w, dy, pad, dilation, backward) -> dict[str, Callable[[], Any]]:
    """Return torch's call in both of its memory formats, nothing where torch is not installed."""
    calls: dict[str, Callable[[], Any]] = {}
    where = ([1, 1], [pad, pad], [dilation, dilation], False, [0, 0], 1)
    for name, layout in torch_formats().items():
        import torch

        tx, tw, tdy = (torch.from_numpy(a).contiguous(memory_format=layout) for a in (x, w, dy))
        if backward:
            run = torch.ops.aten.convolution_backward
            call = partial(run, tdy, tx, tw, [len(w)], *where, [True] * 3)
        else:
            run = torch.nn.functional.conv2d
            call = partial(run, tx, tw, None, 1, pad, dilation)
        calls[f"torch {name}"] = call
    return calls


def torch_formats() -> dict[str, Any]:
    """Return torch's memory formats by name, nothing where torch is not installed."""
    try:
        import torch
    except ImportError:
        return {}
    return {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}


def _error(result, numba, x, w, dy, options) -> float:
    """Return the largest error of one image's results, in units of the largest float64 result."""
    exact = [a.astype(np.float64) for a in (x, w, dy)]
    if isinstance(result, tuple):
        expected = numba.conv2d_backward(exact[2], *exact[:2], *options)
    else:
        result, expected = (result,), (numba.conv2d(*exact[:2], None, *options),)
    return max(
        float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(result, expected, strict=True)
    )
