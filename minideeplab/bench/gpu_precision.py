"""The error of products in each precision, for matrices of the sizes and statistics of LargeFOV.

The filters are random with the variance of He's initialisation, the columns rectified normal
numbers. Errors are taken against float64 and in units of the largest result. On a GPU cuBLAS
multiplies; on the simulator the inputs are rounded as it rounds them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minideeplab.arrays import to_host
from minideeplab.backends import to
from minideeplab.backends.cuda.matmul import PRECISIONS, ROUNDING, matmul_precision, multiply
from minideeplab.bench.layers import LARGEFOV, Layer

PIXELS = 128
EPS = 2.0**-23


def measure(layer: Layer, pixels: int = PIXELS) -> dict[str, Any]:
    """A row of the table: K, and for each precision the largest error and its bound."""
    rng = np.random.default_rng(0)
    inner = layer.channels * layer.kernel**2
    w = rng.standard_normal((1, layer.filters, inner), np.float32) * np.float32((2 / inner) ** 0.5)
    columns = np.maximum(rng.standard_normal((1, inner, pixels), np.float32), 0)
    wide, tall = w.astype(np.float64), columns.astype(np.float64)
    exact, sizes = wide @ tall, np.abs(wide) @ tall
    row: dict[str, Any] = {"layer": layer.name, "products in a sum": inner}
    for name in PRECISIONS:
        out = to(np.empty(exact.shape, np.float32), "cuda")
        with matmul_precision(name):
            multiply(to(w, "cuda"), to(columns, "cuda"), out)
        u, scale = ROUNDING[name], np.abs(exact).max()
        row[f"{name} error"] = float(np.abs(to_host(out) - exact).max() / scale)
        row[f"{name} bound"] = float((2 * u + u * u + inner * EPS) * sizes.max() / scale)
    return row


def rows(pixels: int = PIXELS) -> list[dict[str, Any]]:
    """The table: all convolutions of LargeFOV."""
    return [measure(layer, pixels) for layer in LARGEFOV]
