"""Accuracy of convolution, each output by its own window, for every algorithm and for PyTorch.

The error of a result is |y - exact| / (eps * sum |w| |x|), with the sum over the values that this
one result adds up: the componentwise error (Higham, Accuracy and Stability of Numerical Algorithms,
section 3.1). A direct sum of K values stays near sqrt(K) / 2 or below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minideeplab import backends, ops
from minideeplab.bench.report import Progress, Results, collect, heading, machine, markdown

RESULTS = ("output", "grad_input", "grad_weight")
EPS = float(np.finfo(np.float32).eps)
Kind = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _spike(size: float) -> Kind:
    def change(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        x[0, x.shape[1] // 3, x.shape[2] // 2, x.shape[3] // 2] = size
        return x

    return change


def _right_half(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    x[..., x.shape[3] // 2 :] *= 1e5
    return x


def _channels(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    x[:, : x.shape[1] // 8] *= 1e4
    return x


KINDS: dict[str, Kind] = {
    "N(0, 1)": lambda x, rng: x,
    "half of it zero (ReLU)": lambda x, rng: np.maximum(x, 0),
    "84 % of it zero": lambda x, rng: np.maximum(x - 1, 0),
    "one value of 1e4": _spike(1e4),
    "one value of 1e8": _spike(1e8),
    "one value of 1e36": _spike(1e36),
    "right half times 1e5": _right_half,
    "an eighth of the channels times 1e4": _channels,
    "log-normal, sigma 3": lambda x, rng: np.exp(3 * x) * rng.choice([-1, 1], x.shape),
}
"""Changes of standard normal inputs."""


@dataclass(frozen=True)
class Layer:
    """A 3x3 convolution in which every algorithm exists: its sizes and dilation."""

    channels: int = 64
    filters: int = 64
    side: int = 41
    dilation: int = 1

    @property
    def options(self) -> tuple[Any, ...]:
        """Stride, padding, dilation and groups, as backends take them."""
        d = self.dilation
        return (1, 1), ((d, d), (d, d)), (d, d), 1

    def arrays(self, kind: str, seed: int) -> list[np.ndarray]:
        """Return x (2, C, H, H) of a kind, w (K, C, 3, 3) and dy (2, K, H, H), float32."""
        rng = np.random.default_rng(seed)
        size, c, k = (self.side, self.side), self.channels, self.filters
        x, w, dy = (rng.standard_normal(s) for s in ((2, c, *size), (k, c, 3, 3), (2, k, *size)))
        return [a.astype(np.float32) for a in (KINDS[kind](x, rng), w, dy)]


def forms() -> dict[str, Callable[..., list[np.ndarray]]]:
    """Return functions (x, w, dy, options) -> y, dx and dw: the algorithms, and PyTorch's."""
    numba = backends.load("numba")

    def by(algorithm: str) -> Callable[..., list[np.ndarray]]:
        how = {"algorithm": algorithm}
        return lambda x, w, dy, options: [
            numba.conv2d(x, w, None, *options, **how),
            *numba.conv2d_backward(dy, x, w, *options, **how)[:2],
        ]

    found = {"definition": _definition} | {name: by(name) for name in ("auto", *numba.ALGORITHMS)}
    try:
        import torch  # noqa: F401
    except ImportError:
        return found
    return found | {"torch": _torch}


def _definition(x: Any, w: Any, dy: Any, options: tuple) -> list[np.ndarray]:
    return [ops.conv2d(x, w, None, *options), *ops.conv2d_backward(dy, x, w, *options)[:2]]


def _torch(x: Any, w: Any, dy: Any, options: tuple) -> list[np.ndarray]:
    import torch

    _, ((pad, _), _), dilation, _ = options
    a, b, c = (torch.from_numpy(v) for v in (x, w, dy))
    how = {"padding": pad, "dilation": dilation}
    found = (
        torch.nn.functional.conv2d(a, b, **how),
        torch.nn.grad.conv2d_input(a.shape, b, c, **how),
        torch.nn.grad.conv2d_weight(a, b.shape, c, **how),
    )
    return [v.numpy() for v in found]


def errors(layer: Layer, kind: str, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return the largest error of each result, by form; infinite where a sum of zeros is not 0."""
    arrays, options = layer.arrays(kind, seed), layer.options
    wide = [a.astype(np.float64) for a in arrays]
    exact = _definition(*wide, options)
    sizes = _definition(*(np.abs(a) for a in wide), options)
    found: dict[str, dict[str, float]] = {name: {} for name in RESULTS}
    for form, run in forms().items():
        with np.errstate(over="ignore", invalid="ignore"):
            results = run(*arrays, options)
        for name, got, right, size in zip(RESULTS, results, exact, sizes, strict=True):
            found[name][form] = componentwise(got, right, size)
    return found


def componentwise(got: np.ndarray, exact: np.ndarray, size: np.ndarray) -> float:
    """Return the largest |got - exact| / (eps * size), NaN if a result is not finite."""
    error = np.abs(got - exact)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.max(np.where(error == 0, 0, error / (EPS * size))))


def measure(progress: Progress, channels: int, filters: int, dilation: int) -> Results:
    """Return the table: a row for each kind of input and result, a column for each form."""
    layer = Layer(channels, filters, dilation=dilation)
    rows: list[dict[str, Any]] = []

    def row(kind: str) -> None:
        rows.extend({"input": kind, "result": n} | e for n, e in errors(layer, kind).items())

    collect([("errors", lambda kind=kind: row(kind)) for kind in KINDS], progress)
    facts = machine() | {"channels": channels, "filters": filters, "dilation": dilation}
    return Results({"machine": facts, "errors": rows}, f"{heading(facts)}\n\n{markdown(rows)}\n")
