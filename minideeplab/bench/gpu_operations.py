"""Operations that ``bench gpu`` times, at DeepLab's sizes, and the error of each precision.

``bytes`` counts every array once, as if caches were perfect; ``operations`` counts additions and
multiplications of the direct form. Both give a lower bound of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab.arrays import to_host
from minideeplab.backends import load, to
from minideeplab.backends.cuda.device import to_device
from minideeplab.backends.cuda.matmul import PRECISIONS, ROUNDING, matmul_precision, multiply
from minideeplab.bench import gpu_timing
from minideeplab.bench.layers import LARGEFOV, Layer

CLASSES = 21
EPS = 2.0**-23  # of float32


@dataclass(frozen=True)
class Operation:
    """One operation: our function, torch's, NumPy arrays for both, and the cost."""

    name: str
    arrays: tuple[np.ndarray, ...]
    ours: Callable[..., Any]
    torch: Callable[..., Any]
    bytes: float
    operations: float
    precision: str = "float32"

    def on_device(self) -> Callable[[], Any]:
        """Our call on arrays copied to the device."""
        arrays = [to_device(array) for array in self.arrays]
        return lambda: self.ours(*arrays)

    def on_torch(self, torch: Any) -> Callable[[], Any]:
        """Torch's call, likewise."""
        tensors = [torch.from_numpy(array).cuda() for array in self.arrays]
        return lambda: self.torch(torch, *tensors)


def all_operations(image: int, batch: int) -> Iterator[Operation]:
    """Yield the convolutions of LargeFOV and the other operations for images of 8k + 1 pixels."""
    for layer in LARGEFOV:
        yield _convolution(layer, image, batch, "implicit", "float32")
        for precision in PRECISIONS:
            yield _convolution(layer, image, batch, "im2col", precision)
    yield from _pointwise(image, batch)


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def _convolution(layer: Layer, image: int, batch: int, algorithm: str, precision: str) -> Operation:
    side, pad = layer.side(image), layer.dilation * (layer.kernel // 2)
    x = _random(batch, layer.channels, side, side)
    w = _random(layer.filters, layer.channels, layer.kernel, layer.kernel)
    moved = 4 * (x.size + w.size + batch * layer.filters * side * side)
    return Operation(
        f"{layer.name}, {algorithm}, {precision}",
        (x, w),
        lambda x, w: load("cuda").conv2d(x, w, None, *layer.options(), algorithm=algorithm),
        lambda t, x, w: t.nn.functional.conv2d(x, w, None, 1, pad, layer.dilation),
        moved,
        2 * layer.multiplications(image, batch),
        precision,
    )


def _pointwise(image: int, batch: int) -> Iterator[Operation]:
    """Pooling, upsampling and its adjoint, softmax, loss and its gradient."""
    cuda, coarse = load("cuda"), (image - 1) // 8 + 1
    x = _random(batch, 64, image, image)
    scores = _random(batch, CLASSES, coarse, coarse)
    full = _random(batch, CLASSES, image, image)
    labels = np.random.default_rng(0).integers(0, CLASSES, (batch, image, image))
    size, shape, columns = (image, image), scores.shape, (batch, CLASSES, -1)
    pooled = x.size / 4
    resized = ("bilinear", True, (None, None))
    moved = 4 * (scores.size + full.size)
    rows = (
        ("max_pool2d 3x3, stride 2", (x,), 4 * x.size + 12 * pooled, 9 * pooled,
         lambda x: cuda.max_pool2d(x, (3, 3), (2, 2), (1, 1), (1, 1), True),
         lambda t, x: t.nn.functional.max_pool2d(x, 3, 2, 1, 1, True, True)),
        ("interpolate x8", (scores,), moved, 8 * full.size,
         lambda x: cuda.interpolate(x, size, *resized),
         lambda t, x: t.nn.functional.interpolate(x, size, mode="bilinear", align_corners=True)),
        ("interpolate x8, adjoint", (full,), moved, 8 * full.size,
         lambda dy: cuda.interpolate_backward(dy, shape, *resized),
         lambda t, dy: t.ops.aten.upsample_bilinear2d_backward(dy, size, shape, True)),
        ("softmax", (full,), 8 * full.size, 5 * full.size,
         lambda x: cuda.softmax(x, 1),
         lambda t, x: t.softmax(x, 1)),
        ("cross_entropy", (full, labels), 4 * full.size + 8 * labels.size, 4 * full.size,
         lambda x, y: cuda.cross_entropy(
             x.reshape(columns), y.reshape(batch, -1), None, 255, "mean", 0.0),
         lambda t, x, y: t.nn.functional.cross_entropy(x, y, ignore_index=255)),
    )  # fmt: skip
    for name, arrays, moved_bytes, operations, ours, theirs in rows:
        yield Operation(name, arrays, ours, theirs, moved_bytes, operations)


def measure(operation: Operation, limits: gpu_timing.Limits, rounds: int) -> dict[str, Any]:
    """A row of the table of operations: milliseconds in each language and of torch, and limits.

    "torch / ours" is torch in the same precision (TF32 for float16) over the faster language.
    """
    moved, count, precision = operation.bytes, operation.operations, operation.precision
    row = {"operation": operation.name, "MB": moved / 1e6, "GFLOP": count / 1e9}
    with matmul_precision(precision):
        times = gpu_timing.by_language(operation.on_device(), rounds)
    best = min(times.values())
    theirs = gpu_timing.with_torch(operation.on_torch, rounds)
    theirs_ms = theirs.get("torch ms" if precision == "float32" else "torch TF32 ms")
    row |= {**times, "share of the limit": limits.fraction(moved, count, best, precision), **theirs}
    return row | ({"torch / ours": theirs_ms / best} if theirs_ms else {})


def precision_errors(layer: Layer, pixels: int = 128) -> dict[str, Any]:
    """A row of the table of precisions: the largest error of a layer's product, and its bound.

    Filters have the variance of He's initialisation, columns are rectified normal numbers. Errors
    are against float64, in units of the largest result. The simulator rounds inputs as cuBLAS does.
    """
    rng = np.random.default_rng(0)
    inner = layer.channels * layer.kernel**2
    w = rng.standard_normal((1, layer.filters, inner), np.float32) * np.float32((2 / inner) ** 0.5)
    columns = np.maximum(rng.standard_normal((1, inner, pixels), np.float32), 0)
    w64, columns64 = w.astype(np.float64), columns.astype(np.float64)
    exact, sizes = w64 @ columns64, np.abs(w64) @ columns64
    row: dict[str, Any] = {"layer": layer.name, "products in a sum": inner}
    for name in PRECISIONS:
        out = to(np.empty(exact.shape, np.float32), "cuda")
        with matmul_precision(name):
            multiply(to(w, "cuda"), to(columns, "cuda"), out)
        u, scale = ROUNDING[name], np.abs(exact).max()
        row[f"{name} error"] = float(np.abs(to_host(out) - exact).max() / scale)
        row[f"{name} bound"] = float((2 * u + u * u + inner * EPS) * sizes.max() / scale)
    return row
