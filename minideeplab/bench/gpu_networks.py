"""DeepLab-LargeFOV and the dense CRF as a whole, on a GPU, against torch and pydensecrf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minideeplab import functional as F
from minideeplab import models
from minideeplab.backends import to, use_backend
from minideeplab.backends.cuda import matmul_precision
from minideeplab.backends.cuda.launch import written_in
from minideeplab.bench import crf as crf_bench
from minideeplab.bench import device
from minideeplab.bench.gpu import languages, with_torch
from minideeplab.bench.timing import interleaved
from minideeplab.nn import Module
from minideeplab.tensor import Tensor, no_grad
from minideeplab.training.optim import SGD

CLASSES = 21
NETWORK = "largefov"


def measure(picture: int, batch: int, training: bool, rounds: int, name: str = NETWORK) -> dict:
    """A row of the table of networks: milliseconds of a forward pass, or of a training step."""
    net = models.build(name, CLASSES)
    net.train(training)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, 3, picture, picture), np.float32)
    with no_grad():
        grid = np.asarray(net(x[:1])).shape[2:]
    labels = rng.integers(0, CLASSES, (batch, *grid))
    row: dict[str, Any] = {
        "network": name,
        "pass": "training step" if training else "forward",
        "picture": picture,
        "batch": batch,
    }
    row |= with_torch(lambda torch: _torch_run(torch, net, x, labels, training), rounds)
    net.to("cuda")
    run = (_step if training else _forward)(net, to(x, "cuda"), to(labels, "cuda"))
    for language in languages():
        with use_backend("cuda"), written_in(language):
            row[f"{language} ms"] = device.milliseconds(run, rounds)
    for precision in ("tf32", "float16"):
        with use_backend("cuda"), matmul_precision(precision):
            row[f"{precision} ms"] = device.milliseconds(run, rounds)
    if "torch ms" in row:
        best = min(row[f"{language} ms"] for language in languages())
        row["torch / ours"] = row["torch ms"] / best
        row["TF32: torch / ours"] = row["torch TF32 ms"] / row["tf32 ms"]
    return row


def _forward(net: Module, x: Any, labels: Any) -> Callable[[], Any]:
    def run() -> Any:
        with no_grad():
            return net(x)

    return run


def _step(net: Module, x: Any, labels: Any) -> Callable[[], Any]:
    optimizer = SGD(net.named_parameters(), lr=1e-4)

    def run() -> None:
        net.zero_grad()
        F.cross_entropy(net(Tensor(x)), labels).backward()
        optimizer.step()

    return run


def _torch_run(
    torch: Any, net: Module, x: np.ndarray, labels: np.ndarray, training: bool
) -> Callable[[], Any]:
    """The same pass by torch on the GPU, from the same weights, in its own memory format."""
    from minideeplab.bench.twin import Twin

    twin = Twin(net, torch.contiguous_format)
    twin.weights = {
        key: weight.detach().cuda().requires_grad_() for key, weight in twin.weights.items()
    }
    images, target = torch.from_numpy(x).cuda(), torch.from_numpy(labels).cuda()
    if not training:

        def forward() -> Any:
            with torch.no_grad():
                return twin(images)

        return forward
    optimizer = torch.optim.SGD(twin.weights.values(), 1e-4, momentum=0.9, weight_decay=5e-4)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(twin(images), target).backward()
        optimizer.step()

    return step


def crf(picture: int, rounds: int) -> dict:
    """A row for the dense CRF, build and 10 iterations; pydensecrf on this machine's CPU."""
    image, unary = crf_bench.scene(picture, picture, CLASSES)
    row: dict[str, Any] = {"size": f"{picture}x{picture}x{CLASSES}", "sxy / srgb": "67 / 3"}
    times = []
    for language in languages():
        with use_backend("cuda"), written_in(language):
            run = lambda: crf_bench.run_ours(image, unary, 67, 3)  # noqa: E731
            times.append(device.milliseconds(run, rounds))
        row[f"{language} ms"] = times[-1]
    if "pydensecrf" in crf_bench.rivals():
        rival = interleaved(
            {"pydensecrf": lambda: crf_bench.run_pydensecrf(image, unary, 67, 3)}, 3
        )["pydensecrf"]
        row |= {
            "pydensecrf ms": 1e3 * rival.median,
            "times faster": 1e3 * rival.median / min(times),
        }
    return row
