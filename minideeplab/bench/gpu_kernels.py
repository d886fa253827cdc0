"""Every kernel of the cuda backend alone: bytes, operations, time, share of the device's limit.

Operations at DeepLab's sizes run once while a runner records the first launch of each kernel,
which is then repeated with the same arguments. ``bytes`` counts every array of a launch once, as if
caches were perfect; ``operations`` counts additions, multiplications, comparisons and functions
such as exp, one each.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from minideeplab import functional as F
from minideeplab.backends import load, to, use_backend
from minideeplab.backends.cuda import launch
from minideeplab.bench import gpu_timing
from minideeplab.bench.crf import scene
from minideeplab.crf import DenseCRF
from minideeplab.tensor import Tensor

CLASSES = 21

OPERATIONS: dict[str, Callable[[Any], float]] = {
    "relu_forward": lambda a: a.size,
    "relu_gradient": lambda a: a.size,
    "softmax_forward": lambda a: 5 * a.x.size,
    "softmax_gradient": lambda a: 4 * a.y.size,
    "log_softmax_forward": lambda a: 6 * a.x.size,
    "log_softmax_gradient": lambda a: 4 * a.y.size,
    "unfold_windows": lambda a: 0,
    "fold_windows": lambda a: a.columns.size,
    "implicit_gemm": lambda a: 2 * a.y.size * a.per_filter,
    "apply_epilogue": lambda a: 3 * a.size,
    "label_loss": lambda a: 4 * a.x.size,
    "label_loss_gradient": lambda a: 10 * a.x.size,
    "soft_loss": lambda a: 9 * a.x.size,
    "soft_loss_gradient": lambda a: 13 * a.x.size,
    "channel_sums": lambda a: a.x.size,
    "channel_squares": lambda a: 3 * a.x.size,
    "channel_products": lambda a: 4 * a.x.size,
    "normalize": lambda a: 4 * a.size,
    "normalize_gradient": lambda a: 7 * a.size,
    "take": lambda a: 0,
    "collect": lambda a: a.dy.size,
    "max_pool": lambda a: a.size * a.kh * a.kw,
    "max_pool_gradient": lambda a: a.size,
    "avg_pool": lambda a: a.size * (a.kh * a.kw + 1),
    "avg_pool_gradient": lambda a: 2 * a.dy.size * a.kh * a.kw,
    "cell_means": lambda a: a.x.size + a.size,
    "cell_means_gradient": lambda a: 2 * a.size,
    "nearest": lambda a: 0,
    "nearest_gradient": lambda a: a.dy.size,
    "bilinear": lambda a: 12 * a.size,
    "bilinear_gradient": lambda a: 12 * a.dy.size,
    "embed": lambda a: a.n * (a.d + 1) * (4 * a.d + 20),
    "weights_gradient": lambda a: a.n * (a.d + 1) * (2 * a.d + 12),
    "insert": lambda a: 0,
    "gather_keys": lambda a: 0,
    "connect": lambda a: 2 * a.axes * a.vertices,
    "splat": lambda a: 2 * a.points * a.sides * a.labels,
    "blur": lambda a: 3 * a.vertices * a.labels,
    "slice_points": lambda a: (2 * a.sides + 1) * a.points * a.labels,
    "corner_products": lambda a: 4 * a.sides * a.points * a.labels,
    "sweep": lambda a: a.points * a.labels * (3 * a.reads + 2 * a.writes + 5),
    "send_points": lambda a: 2 * a.points * a.labels * a.writes,
    "diagonal": lambda a: 4 * a.points * a.sides**2,
    "diagonal_gradient": lambda a: 8 * a.points * a.sides**2,
}
"""Operations of a launch from its arguments by name; 0 for kernels that only copy or search."""


@dataclass(frozen=True)
class Launch:
    """A kernel with its grid and arguments; calling it repeats the launch."""

    kernel: Any
    blocks: tuple[int, ...]
    threads: tuple[int, ...]
    args: tuple

    def __call__(self) -> None:
        """Launch the kernel."""
        self.kernel.launch(self.blocks, self.threads, *self.args)

    @property
    def bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(arg.nbytes for arg in self.args if getattr(arg, "ndim", 0))

    @property
    def operations(self) -> float:
        """The count of OPERATIONS for these arguments."""
        names = inspect.signature(self.kernel.function).parameters
        named = SimpleNamespace(**dict(zip(names, self.args, strict=True)))
        return float(OPERATIONS[self.kernel.__name__](named))


def launches(image: int, channels: int = 64) -> dict[str, Launch]:
    """The first launch of every kernel, by name, at the sizes of a image of 8k + 1 pixels."""
    found: dict[str, Launch] = {}

    def record(kernel: Any, blocks: tuple, threads: tuple, args: tuple) -> None:
        found.setdefault(kernel.__name__, Launch(kernel, blocks, threads, tuple(args)))
        with launch.through(None):
            kernel.launch(blocks, threads, *args)

    with use_backend("cuda"), launch.through(record):
        _run_features(image, channels)
        _run_scores(image)
        _run_crf(image)
    return found


def measure(one: Launch, limits: Any, rounds: int) -> dict[str, Any]:
    """A row of the table of kernels."""
    row = {"kernel": one.kernel.__name__, "MB": one.bytes / 1e6, "GFLOP": one.operations / 1e9}
    times = gpu_timing.by_language(one, rounds)
    best = min(times.values())
    row |= {**times, "GB/s": row["MB"] / best, "GFLOP/s": 1e3 * row["GFLOP"] / best}
    return row | {"share of the limit": limits.fraction(one.bytes, one.operations, best)}


def _random(*shape: int) -> Tensor:
    values = np.random.default_rng(0).standard_normal(shape, np.float32)
    return Tensor(to(values, "cuda"), requires_grad=True)


def _run_features(image: int, channels: int) -> None:
    """Run the operations on feature maps, forward and backward."""
    half = (image - 1) // 2 + 1
    x, w = _random(1, channels, half, half), _random(channels, channels, 3, 3)
    bias = _random(channels)
    F.conv2d(x, w, bias, padding=1).sum().backward()
    F.conv2d(x, w, bias, padding=1, algorithm="implicit")
    F.relu(x).sum().backward()
    F.max_pool2d(x, 3, 2, 1).sum().backward()
    F.avg_pool2d(x, 3, 1, 1).sum().backward()
    F.adaptive_avg_pool2d(x, 6).sum().backward()
    F.pad(x, (1, 1, 1, 1), mode="reflect").sum().backward()
    mean, var = (to(np.full(channels, v, np.float32), "cuda") for v in (0, 1))
    F.batch_norm(x, mean, var, bias, bias, training=True).sum().backward()
    load("cuda").conv2d_epilogue(x.data, w.data, bias.data, (1, 1), ((1, 1),) * 2, (1, 1), 1)


def _run_scores(image: int) -> None:
    """Run the operations on scores, forward and backward."""
    coarse = _random(1, CLASSES, (image - 1) // 8 + 1, (image - 1) // 8 + 1)
    for how in ({"mode": "bilinear", "align_corners": True}, {"mode": "nearest"}):
        F.interpolate(coarse, (image, image), **how).sum().backward()
    scores = _random(1, CLASSES, image, image)
    F.softmax(scores, 1).sum().backward()
    F.log_softmax(scores, 1).sum().backward()
    labels = np.random.default_rng(0).integers(0, CLASSES, (1, image, image))
    F.cross_entropy(scores, to(labels, "cuda")).backward()
    F.cross_entropy(scores, F.softmax(scores, 1).data).backward()


def _run_crf(image: int) -> None:
    """Run a dense CRF with and without self terms, and the gradients."""
    image, unary = scene(image, image, CLASSES)
    for self_term in (True, False):
        crf = DenseCRF(unary, self_term=self_term)
        crf.add_bilateral(image, sxy=67, srgb=3, compat=4)
        q = crf.inference(2)
        crf.gradients(q, 1)
